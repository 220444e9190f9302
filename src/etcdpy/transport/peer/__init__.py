"""The peer transport: raft messages between members, on the wire what etcd 3.5's rafthttp speaks.

network = PeerNetwork(loop=loop, identity=Identity(...), receiver=member, ...)     to and from the other members
mux = Mux(loop=loop, http2=grpc, http1=PeerServer(network, others=http_server))    their connections to us
"""

from etcdpy.transport.peer.network import PeerNetwork
from etcdpy.transport.peer.receiver import Receiver, SnapshotRefused
from etcdpy.transport.peer.server import PeerServer
from etcdpy.transport.peer.settings import Identity, Timeouts

__all__ = ["Identity", "PeerNetwork", "PeerServer", "Receiver", "SnapshotRefused", "Timeouts"]
