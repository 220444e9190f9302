"""The two streams between two members: their names, paths and codecs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from etcdpy.pb.raft_values import Message
from etcdpy.transport.peer.frames import LINK_HEARTBEAT_FRAME, FrameReader, MessageFrames, encode_message_frame
from etcdpy.transport.peer.msgapp import MSGAPP_LINK_HEARTBEAT_FRAME, MsgAppEncoder, MsgAppFrames

STREAM_PREFIX: Final = "/raft/stream/"


class StreamKind:
    """What sets one kind of stream apart. `name` is what etcd's log calls it."""

    def __init__(self, name: str, path: str, link_heartbeat: bytes, waiting_bytes_max: int) -> None:
        self.name = name
        self.path = path
        self.link_heartbeat = link_heartbeat
        self.waiting_bytes_max = waiting_bytes_max

    def encoder(self) -> Callable[[Message], bytes]:
        """Return the encoder of a new connection."""
        return MsgAppEncoder().encode if self is MSGAPP_STREAM else encode_message_frame

    def decoder(self, *, local: int, remote: int) -> FrameReader:
        """Return the decoder of a new connection."""
        return MsgAppFrames(local=local, remote=remote) if self is MSGAPP_STREAM else MessageFrames()


# raft lets 512 appends of a MiB be under way to a follower; what one second of a fast network does not take is enough
# to keep it busy, and more only makes the newest append late.
MSGAPP_STREAM: Final = StreamKind("stream MsgApp v2", STREAM_PREFIX + "msgapp", MSGAPP_LINK_HEARTBEAT_FRAME, 64 << 20)
# Heartbeats, votes and their answers are small, forwarded proposals are not: a heartbeat may stand behind this much.
MESSAGE_STREAM: Final = StreamKind("stream Message", STREAM_PREFIX + "message", LINK_HEARTBEAT_FRAME, 8 << 20)
STREAM_KINDS: Final = (MSGAPP_STREAM, MESSAGE_STREAM)
