"""The peer port's HTTP/1.1 connections: which request is taken, from whom, and by which handler.

    mux = Mux(loop=loop, http2=grpc, http1=PeerServer(network, others=http_server))

Who asks is believed by its headers alone, as in etcd; TLS is what keeps strangers away. They are checked in etcd's
order: method, version, cluster, and for streams path, removed or not, known or not, and whether we are meant.

Upstream: rafthttp/http.go (facts 7.1).
"""

from __future__ import annotations

import time
from typing import Final

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_warn
from etcdpy.transport.mux import ProtocolServer
from etcdpy.transport.peer.connection import Handler, PeerConnection, Request
from etcdpy.transport.peer.network import PeerNetwork
from etcdpy.transport.peer.pipeline import RAFT_PATH
from etcdpy.transport.peer.probe import PROBE_PATH, format_answer
from etcdpy.transport.peer.requests import (
    SNAPSHOTS_AT_ONCE_MAX,
    RaftPost,
    SnapshotPost,
    StreamRequest,
    parse_id,
    sender_of,
)
from etcdpy.transport.peer.snapshot_sender import SNAPSHOT_PATH
from etcdpy.transport.peer.stream_kind import STREAM_KINDS, StreamKind
from etcdpy.transport.peer.versions import Incompatible, check_compatible, min_cluster_version, server_version

CLUSTER_HEADER: Final = "X-Etcd-Cluster-Id"
# Failures of strangers are counted together: what they call themselves is their own choice.
STRANGER: Final = 0


class PeerServer:
    """A ProtocolServer for the mux of a peer listener; `others` serves every path that is not raft's."""

    def __init__(self, network: PeerNetwork, *, others: ProtocolServer) -> None:
        self.network = network
        self.world = network.world
        self.intake = network.intake
        self.others = others
        self.connections: set[PeerConnection] = set()
        self.posted_bytes = 0
        self.snapshot_count = 0

    def connection(self) -> PeerConnection:
        """Return the protocol of a new connection."""
        return PeerConnection(self)

    def connection_count(self) -> int:
        return len(self.connections) + self.others.connection_count()

    def abort(self) -> None:
        """Drop every connection that is ours now; `others` are closed by their owner."""
        for connection in sorted(self.connections, key=id):
            connection.abort()

    def begin(self, request: Request, connection: PeerConnection) -> Handler | None:
        """Return the request's handler, or None: it is answered."""
        if request.path == PROBE_PATH:
            connection.answer(200, format_answer(time.time()))
            return None
        method = "POST" if request.path in (RAFT_PATH, SNAPSHOT_PATH) else "GET"
        if request.method != method:
            connection.answer(405, "Method Not Allowed", headers=[("Allow", method)])
            return None
        connection.own_headers = self._own_headers(method)
        incompatible = self._find_incompatible(request)
        if incompatible:
            connection.answer(412, incompatible)
            return None
        if method == "GET":
            return self._begin_stream(request, connection)
        self._add_remote(request)
        if request.path == RAFT_PATH:
            return RaftPost(self, connection, request)
        if self.snapshot_count >= SNAPSHOTS_AT_ONCE_MAX:
            connection.answer(503, "too many snapshots are being received")
            return None
        return SnapshotPost(self, connection, request)

    # ---- who asks

    def _own_headers(self, method: str) -> list[tuple[str, str]]:
        headers = [(CLUSTER_HEADER, format_id(self.world.identity.cluster_id))]
        if method == "GET":
            headers.append(("X-Server-Version", self.world.identity.server_version))
        return headers

    def _find_incompatible(self, request: Request) -> str:
        """Return why this peer and we cannot be in one cluster, as etcd's answer says it; nothing if we can."""
        try:
            check_compatible(self.world.identity, request.headers)
        except Incompatible as error:
            self._log("failed to check version compatibility", request, error=str(error))
            return "incompatible version"
        theirs = request.headers.get("x-etcd-cluster-id", "")
        if theirs != format_id(self.world.identity.cluster_id):
            self._log("request cluster ID mismatch", request, remote_peer_cluster_id=theirs)
            return "cluster ID mismatch"
        return ""

    def _add_remote(self, request: Request) -> None:
        """Know the sender as a remote if it tells where it lives."""
        sender, urls = sender_of(request), request.headers.get("x-peerurls", "")
        if sender and urls:
            self.network.add_remote(sender, urls.split(","))

    def _begin_stream(self, request: Request, connection: PeerConnection) -> Handler | None:
        kind, name = _split_stream_path(request.path)
        if kind is None:
            connection.answer(404, "invalid path")
            return None
        member_id = parse_id(name)
        if member_id is None:
            self._log("failed to parse path into ID", request, path=request.path)
            connection.answer(404, "invalid from")
            return None
        if self.world.receiver.is_removed(member_id):
            self._log("rejected stream from remote peer because it was removed", request)
            connection.answer(410, b"")
            return None
        peer = self.network.find_peer(member_id)
        if peer is None:
            # A member that we do not know yet: we are behind, or it belongs to another cluster.
            self._add_remote(request)
            self._log("failed to find remote peer in cluster", request, remote_peer_id_from=name)
            connection.answer(404, "error sender not found")
            return None
        meant = request.headers.get("x-raft-to", "")
        if meant != self.world.own_id:
            self._log("ignored streaming request; ID mismatch", request, remote_peer_id_header=meant)
            connection.answer(412, "to field mismatch")
            return None
        connection.stream()
        return StreamRequest(connection, peer.attach(kind, connection))

    # ---- counts, for the handlers

    def count_received(self, sender: int, size_bytes: int) -> None:
        self.world.counters.received_bytes[self.known(sender)] += size_bytes

    def count_failure(self, sender: int) -> None:
        self.world.counters.received_failures[self.known(sender)] += 1

    def known(self, sender: int) -> int:
        return sender if self.network.knows(sender) else STRANGER

    def _log(self, text: str, request: Request, **fields: object) -> None:
        own = self.world.identity
        log_warn(
            self.world.log,
            text,
            local_member_id=self.world.own_id,
            local_member_cluster_id=format_id(own.cluster_id),
            local_member_server_version=own.server_version,
            local_member_server_minimum_cluster_version=own.min_cluster_version,
            remote_peer_server_name=request.headers.get("x-server-from", ""),
            remote_peer_server_version=server_version(request.headers),
            remote_peer_server_minimum_cluster_version=min_cluster_version(request.headers),
            **fields,
        )


def _split_stream_path(path: str) -> tuple[StreamKind | None, str]:
    """Return the kind of stream and the rest of `/raft/stream/msgapp/<id>`."""
    for kind in STREAM_KINDS:
        if path.startswith(kind.path + "/"):
            rest = path[len(kind.path) + 1 :]
            return (None, "") if "/" in rest else (kind, rest)
    return None, ""
