"""One kind of stream to a peer: the peer dials, we answer without end.

Rules
  * The newest connection is the one that counts; an older one is closed when it comes.
  * What the peer does not take waits in the transport, up to the kind's limit. Beyond it messages are lost, and raft
    is told: it then sends less. Appends and heartbeats wait in different streams.
  * A stream that has nothing to say says so three times per read timeout. One whose peer takes nothing for the write
    timeout is closed.

Upstream: rafthttp/stream.go, streamWriter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_info, log_warn
from etcdpy.pb.raft_values import Message
from etcdpy.transport.peer.status import PeerStatus
from etcdpy.transport.peer.stream_kind import StreamKind
from etcdpy.transport.peer.world import World


class OutgoingStream(Protocol):
    """The answering end of a connection whose request asked for a stream, its answer's head already written."""

    @property
    def transport(self) -> asyncio.Transport: ...
    def abort(self) -> None:
        """Close now. The writer is not told of an end that it made itself."""


class StreamWriter:
    """See the top of the file."""

    def __init__(self, kind: StreamKind, member_id: int, *, world: World, status: PeerStatus) -> None:
        self.kind = kind
        self._member_id = member_id
        self._world = world
        self._status = status
        self._stream: OutgoingStream | None = None
        self._encode: Callable[[Message], bytes] = kind.encoder()
        self._timer: asyncio.TimerHandle | None = None
        self._written_bytes = 0
        self._taken_bytes = 0
        self._taken_at = 0.0
        self._log_info("started stream writer with remote peer")

    @property
    def is_attached(self) -> bool:
        return self._stream is not None

    def attach(self, stream: OutgoingStream) -> None:
        """Write to this connection from now on."""
        if self._stream is not None:
            self._close_stream()
            self._log_warn("closed TCP streaming connection with remote peer")
        self._stream = stream
        self._encode = self.kind.encoder()
        self._written_bytes = self._taken_bytes = 0
        self._taken_at = self._world.loop.time()
        self._timer = self._world.loop.call_later(self._world.timeouts.link_heartbeat_seconds, self._tick)
        self._status.activate()
        log_info(
            self._world.log,
            "set message encoder",
            **{"from": self._world.own_id},
            to=format_id(self._member_id),
            stream_type=self.kind.name,
        )
        self._log_info("established TCP streaming connection with remote peer")

    def send(self, messages: Sequence[Message]) -> int:
        """Write the messages; return how many of them, from the first, were taken. Must be attached."""
        assert self._stream is not None
        room = self.kind.waiting_bytes_max - self._stream.transport.get_write_buffer_size()
        frames: list[bytes] = []
        size = 0
        for message in messages:
            # The one that passes the limit still goes: a message larger than it could otherwise never go.
            if size >= room:
                break
            frame = self._encode(message)
            size += len(frame)
            frames.append(frame)
        if frames:
            self._write(frames, size)
        return len(frames)

    def lost(self, stream: OutgoingStream, error: Exception | None) -> None:
        """The connection ended, and not by us."""
        if stream is not self._stream:
            return
        self._drop("write", error or EOFError("EOF"))

    def close(self) -> None:
        """Close for good."""
        if self._stream is not None:
            self._close_stream()
            self._log_warn("closed TCP streaming connection with remote peer")
        self._log_info("stopped TCP streaming connection with remote peer")

    # ---- time

    def _tick(self) -> None:
        """Show that we live, and see that the peer does."""
        assert self._stream is not None
        now = self._world.loop.time()
        waiting = self._stream.transport.get_write_buffer_size()
        taken = self._written_bytes - waiting
        if waiting == 0 or taken > self._taken_bytes:
            self._taken_bytes, self._taken_at = taken, now
        elif now - self._taken_at >= self._world.timeouts.write_seconds:
            self._drop("heartbeat", TimeoutError("i/o timeout"))
            return
        if waiting == 0:
            # Behind something that waits, a heartbeat tells nothing new.
            self._write([self.kind.link_heartbeat], len(self.kind.link_heartbeat))
        self._timer = self._world.loop.call_later(self._world.timeouts.link_heartbeat_seconds, self._tick)

    # ---- bytes

    def _write(self, frames: list[bytes], size: int) -> None:
        """Write the frames as one chunk of the answer."""
        assert self._stream is not None
        chunk = b"%x\r\n%b\r\n" % (size, b"".join(frames))
        self._written_bytes += len(chunk)
        self._world.counters.sent_bytes[self._member_id] += size
        self._stream.transport.write(chunk)

    def _drop(self, action: str, error: Exception) -> None:
        self._status.deactivate(action, self.kind.name, error)
        self._world.counters.sent_failures[self._member_id] += 1
        self._close_stream()
        self._log_warn("lost TCP streaming connection with remote peer")
        self._world.receiver.report_unreachable(self._member_id)

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if stream is not None:
            stream.abort()

    def _log_info(self, text: str) -> None:
        log_info(self._world.log, text, **self._fields())

    def _log_warn(self, text: str) -> None:
        log_warn(self._world.log, text, **self._fields())

    def _fields(self) -> dict[str, object]:
        return {
            "stream_writer_type": self.kind.name,
            "local_member_id": self._world.own_id,
            "remote_peer_id": format_id(self._member_id),
        }
