"""What is done with each request that a peer makes: one class per kind that has a body or outlives its head.

    POST /raft              one raftpb.Message                        204
    POST /raft/snapshot     u64 length, raftpb.Message, database      204 when raft has it
    GET  /raft/stream/...   nothing                                   200 and chunks without end

Upstream: rafthttp/http.go (facts 7.1, 7.3).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_info, log_warn
from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import MSG_SNAP
from etcdpy.transport.peer.connection import PeerConnection, Request
from etcdpy.transport.peer.frames import FRAME_BYTES_MAX, U64, FrameError, decode_message
from etcdpy.transport.peer.intake import Refusal, is_well_formed
from etcdpy.transport.peer.receiver import SnapshotRefused
from etcdpy.transport.peer.snapshot_file import SnapshotFile
from etcdpy.transport.peer.stream_writer import StreamWriter

if TYPE_CHECKING:
    from etcdpy.transport.peer.server import PeerServer

# What all posted messages that are under way may take together: one of the largest, as on a stream.
POSTED_BYTES_MAX: Final = FRAME_BYTES_MAX
# A snapshot's message holds the v2 store's JSON; 3.6.14 allows as much.
ENVELOPE_BYTES_MAX: Final = 64 << 20
# One leader sends one; an old leader's may still be under way.
SNAPSHOTS_AT_ONCE_MAX: Final = 2

JSON: Final = "application/json"


class RaftPost:
    """A message that is posted alone."""

    def __init__(self, server: PeerServer, connection: PeerConnection, request: Request) -> None:
        self._server = server
        self._connection = connection
        self._sender = sender_of(request)
        self._parts: list[bytes] = []
        self._held_bytes = 0

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)
        self._held_bytes += len(data)
        self._server.posted_bytes += len(data)
        if self._held_bytes > FRAME_BYTES_MAX:
            self._release()
            self._connection.answer(400, "error reading raft message")
        elif self._server.posted_bytes > POSTED_BYTES_MAX:
            self._release()
            self._connection.answer(503, "too many raft messages are being received")

    def on_end(self) -> None:
        data = b"".join(self._parts)
        self._release()
        try:
            message = decode_message(data)
        except FrameError as error:
            log_warn(
                self._server.world.log,
                "failed to unmarshal Raft message",
                local_member_id=self._server.world.own_id,
                error=str(error),
            )
            self._server.count_failure(self._sender)
            self._connection.answer(400, "error unmarshalling raft message")
            return
        self._server.count_received(message.from_, len(data))
        refusal = self._server.intake.take(message)
        if refusal is None:
            self._connection.answer(204)
        else:
            answer_refusal(self._connection, refusal)

    def on_lost(self, error: Exception | None) -> None:
        self._release()

    def _release(self) -> None:
        self._server.posted_bytes -= self._held_bytes
        self._held_bytes = 0
        self._parts = []


class StreamRequest:
    """A peer that is streamed to; its writer learns when the connection ends."""

    def __init__(self, connection: PeerConnection, writer: StreamWriter) -> None:
        self._connection = connection
        self._writer = writer

    def on_body(self, data: bytes) -> None:
        """Nothing is expected."""

    def on_end(self) -> None:
        """The request ended long ago."""

    def on_lost(self, error: Exception | None) -> None:
        self._writer.lost(self._connection, error)


class SnapshotPost:
    """A snapshot that is posted: kept in memory as far as the message goes, on disk from there."""

    def __init__(self, server: PeerServer, connection: PeerConnection, request: Request) -> None:
        self._server = server
        self._world = server.world
        self._connection = connection
        self._sender = server.known(sender_of(request))
        self._length = int(request.headers.get("content-length", "0") or "0")
        self._envelope = bytearray()
        self._file: SnapshotFile | None = None  # Invariant: None until the message is known and welcome.
        self._task: asyncio.Task[None] | None = None
        self._begun = self._world.loop.time()
        self._is_ok = False
        server.snapshot_count += 1
        self._world.counters.snapshot_receive_inflights[self._sender] += 1

    def on_body(self, data: bytes) -> None:
        if self._file is None:
            self._envelope += data
            self._read_envelope()
            return
        self._file.feed(data)
        if self._file.is_full:
            self._connection.pause()

    def on_end(self) -> None:
        if self._file is None:
            self._refuse(400, "failed to decode raft message (unexpected EOF)")
        else:
            self._file.end()

    def on_lost(self, error: Exception | None) -> None:
        if self._task is None:
            self._close(ok=False)
        else:
            self._task.cancel()

    # ---- the message

    def _read_envelope(self) -> None:
        if len(self._envelope) < U64.size:
            return
        size = U64.unpack_from(self._envelope)[0]
        if size > ENVELOPE_BYTES_MAX:
            self._refuse(400, "failed to decode raft message (rafthttp: error limit exceeded)")
            return
        end = U64.size + size
        if len(self._envelope) < end:
            return
        rest = bytes(memoryview(self._envelope)[end:])
        try:
            message = decode_message(bytes(memoryview(self._envelope)[U64.size : end]))
        except FrameError as error:
            self._refuse(400, f"failed to decode raft message ({error})")
            return
        self._envelope = bytearray()
        self._server.count_received(message.from_, size)
        if self._is_welcome(message):
            self._begin_file(message, end, rest)

    def _is_welcome(self, message: Message) -> bool:
        """Look before the database comes, not after."""
        if message.type != MSG_SNAP or not is_well_formed(message):
            self._refuse(400, "wrong raft message type")
            return False
        refusal = self._server.intake.check(message)
        if refusal is not None:
            self._close(ok=False)
            answer_refusal(self._connection, refusal)
            return False
        return True

    def _begin_file(self, message: Message, envelope_bytes: int, rest: bytes) -> None:
        assert message.snapshot is not None
        self._log_info("receiving database snapshot", message)
        self._file = SnapshotFile(
            self._world.snap_directory,
            message.snapshot.index,
            rng=self._world.rng,
            on_room=self._connection.resume,
        )
        self._task = self._world.start(self._save(message, self._file, max(0, self._length - envelope_bytes)))
        # A callback and not the task's last lines: it comes also if the task was cancelled before it began.
        self._task.add_done_callback(self._saved)
        if rest:
            self._file.feed(rest)

    # ---- the database

    async def _save(self, message: Message, file: SnapshotFile, expected_bytes: int) -> None:
        try:
            path = await file.wait_saved(expected_bytes)
        except OSError as error:
            log_warn(self._world.log, "failed to save incoming database snapshot", error=str(error))
            self._connection.answer(500, f"failed to save KV snapshot ({error})")
            return
        self._server.count_received(message.from_, file.size_bytes)
        self._log_info("received and saved database snapshot", message, file.size_bytes)
        # The sender may have gone meanwhile. The snapshot is here all the same: raft is better off with it.
        try:
            await self._world.receiver.receive_snapshot(message, path)
        except SnapshotRefused as error:
            self._connection.answer(500, f"failed to process raft message ({error})")
            return
        except Exception:
            self._connection.answer(500, "failed to process raft message")
            raise
        self._connection.answer(204)
        self._is_ok = True

    def _saved(self, task: asyncio.Task[None]) -> None:
        assert self._file is not None
        self._file.discard()
        self._close(ok=self._is_ok)

    # ---- ends

    def _refuse(self, status: int, text: str) -> None:
        log_warn(self._world.log, "refused a database snapshot", remote_peer_id=format_id(self._sender), error=text)
        self._server.count_failure(self._sender)
        self._close(ok=False)
        self._connection.answer(status, text)

    def _close(self, *, ok: bool) -> None:
        """Count it once."""
        if self._begun < 0:
            return
        counters = self._world.counters
        counters.snapshot_receives.add(self._sender, self._world.loop.time() - self._begun)
        self._begun = -1.0
        self._envelope = bytearray()
        self._server.snapshot_count -= 1
        counters.snapshot_receive_inflights[self._sender] -= 1
        if ok:
            counters.snapshot_receive_success[self._sender] += 1
        else:
            counters.snapshot_receive_failures[self._sender] += 1

    def _log_info(self, text: str, message: Message, size_bytes: int | None = None) -> None:
        assert message.snapshot is not None
        fields: dict[str, object] = {} if size_bytes is None else {"incoming_snapshot_size_bytes": size_bytes}
        log_info(
            self._world.log,
            text,
            local_member_id=self._world.own_id,
            remote_snapshot_sender_id=format_id(message.from_),
            incoming_snapshot_index=message.snapshot.index,
            **fields,
        )


def answer_refusal(connection: PeerConnection, refusal: Refusal) -> None:
    connection.answer(refusal.status, refusal.body(), content_type=JSON)


def sender_of(request: Request) -> int:
    """Return the id in X-Server-From, 0 where there is none."""
    return parse_id(request.headers.get("x-server-from", "")) or 0


def parse_id(text: str) -> int | None:
    """Return an id that is written in hex, or None."""
    # int() would also take signs, spaces, underscores and a prefix.
    if not 1 <= len(text) <= 16 or any(letter not in "0123456789abcdefABCDEF" for letter in text):
        return None
    return int(text, 16)
