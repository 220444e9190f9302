"""Posts one snapshot to a peer: u64 big-endian length, raftpb.Message (MsgSnap), then the database file's bytes.

    POST /raft/snapshot, Content-Type: application/octet-stream

The file is read in pieces on a thread, the next one when the peer has taken most of the last: memory does not grow with
the database. raft is told how it ended, and so is the file's owner, exactly once.

Upstream: rafthttp/snapshot_sender.go (facts 7.3).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from typing import Final

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_info, log_warn
from etcdpy.pb.raft_values import Message
from etcdpy.transport.peer.client import (
    ClientConnection,
    MemberRemoved,
    PeerFailure,
    SmallAnswer,
    check_post_answer,
    dial,
    request_head,
)
from etcdpy.transport.peer.frames import encode_message_frame
from etcdpy.transport.peer.status import PeerStatus
from etcdpy.transport.peer.tasks import run_on_thread
from etcdpy.transport.peer.urls import PeerUrl, UrlPicker
from etcdpy.transport.peer.world import World

SNAPSHOT_PATH: Final = "/raft/snapshot"
PIECE_BYTES: Final = 1 << 20
# A receiver that syncs a large file takes nothing meanwhile, and answers only after the whole is on its disk.
PATIENCE_SECONDS: Final = 300.0

OnDone = Callable[[bool], None]


class _Outcome:
    is_sent = False


class SnapshotSender:
    """Sends snapshots to one peer, each in a task of its own. raft has at most one under way per follower."""

    def __init__(self, member_id: int, *, world: World, picker: UrlPicker, status: PeerStatus | None) -> None:
        self._member_id = member_id
        self._world = world
        self._picker = picker
        self._status = status
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, message: Message, path: str, size_bytes: int, on_done: OnDone | None) -> None:
        counters = self._world.counters
        counters.snapshot_send_inflights[self._member_id] += 1
        begun = self._world.loop.time()
        outcome = _Outcome()

        def finished(task: asyncio.Task[None]) -> None:
            # A callback and not the task's last lines: it comes also if the task was cancelled before it began.
            self._tasks.discard(task)
            counters.snapshot_send_inflights[self._member_id] -= 1
            counters.snapshot_sends.add(self._member_id, self._world.loop.time() - begun)
            self._report(outcome.is_sent)
            if on_done is not None:
                on_done(outcome.is_sent)

        task = self._world.start(self._send(message, path, size_bytes, outcome))
        self._tasks.add(task)
        task.add_done_callback(finished)

    def close(self) -> None:
        """Give up what is under way."""
        for task in sorted(self._tasks, key=id):
            task.cancel()

    async def _send(self, message: Message, path: str, size_bytes: int, outcome: _Outcome) -> None:
        url = self._picker.pick()
        self._log_info("sending database snapshot", message, size_bytes)
        try:
            await self._post(url, message, path, size_bytes)
        except (PeerFailure, OSError) as error:
            self._failed(url, message, error)
            return
        outcome.is_sent = True
        self._log_info("sent database snapshot", message, size_bytes)
        if self._status is not None:
            self._status.activate()

    def _report(self, is_sent: bool) -> None:
        counters, receiver = self._world.counters, self._world.receiver
        if is_sent:
            counters.snapshot_send_success[self._member_id] += 1
        else:
            counters.snapshot_send_failures[self._member_id] += 1
            receiver.report_unreachable(self._member_id)
        receiver.report_snapshot(self._member_id, is_sent)

    async def _post(self, url: PeerUrl, message: Message, path: str, size_bytes: int) -> None:
        """Post all of it. Raise PeerFailure or OSError."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        connection: ClientConnection | None = None
        try:
            connection = await dial(self._world, url)
            frame = encode_message_frame(message)
            head = request_head(
                self._world,
                url,
                "POST",
                SNAPSHOT_PATH,
                [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(frame) + size_bytes))],
            )
            reader = SmallAnswer(self._world.loop)
            connection.ask(head, reader, frame)
            self._world.counters.sent_bytes[self._member_id] += len(frame)
            await self._write_file(connection, reader, fd, size_bytes)
            check_post_answer(await reader.wait(PATIENCE_SECONDS), SNAPSHOT_PATH, self._member_id)
        finally:
            os.close(fd)
            if connection is not None:
                connection.close()

    async def _write_file(self, connection: ClientConnection, reader: SmallAnswer, fd: int, size_bytes: int) -> None:
        """Write the file's bytes, or as many as the peer wants: it may answer before the end to refuse."""
        position = 0
        while position < size_bytes and not reader.has_come:
            piece = await run_on_thread(partial(os.pread, fd, min(PIECE_BYTES, size_bytes - position), position))
            if not piece:
                raise PeerFailure(f"the database ends after {position} of {size_bytes} bytes")
            if reader.has_come:
                return
            connection.write(piece)
            self._world.counters.sent_bytes[self._member_id] += len(piece)
            position += len(piece)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await connection.wait_writable()
            except TimeoutError:
                raise PeerFailure("i/o timeout while writing the snapshot") from None

    def _failed(self, url: PeerUrl, message: Message, error: Exception) -> None:
        log_warn(
            self._world.log,
            "failed to send database snapshot",
            snapshot_index=message.snapshot.index if message.snapshot else 0,
            remote_peer_id=format_id(self._member_id),
            error=str(error),
        )
        self._picker.unreachable(url)
        if self._status is not None:
            self._status.deactivate("post", "snapshot", error)
        self._world.counters.sent_failures[self._member_id] += 1
        if isinstance(error, MemberRemoved):
            self._world.receiver.on_removed_here()

    def _log_info(self, text: str, message: Message, size_bytes: int) -> None:
        log_info(
            self._world.log,
            text,
            snapshot_index=message.snapshot.index if message.snapshot else 0,
            remote_peer_id=format_id(self._member_id),
            bytes=size_bytes,
        )
