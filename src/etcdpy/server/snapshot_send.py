"""Our whole state to a follower who is too far behind for the log.

    raft's MsgSnap -> export (commit, child process) -> MsgSnap of that moment, bbolt file -> the network -> raft hears

raft names the snapshot that its storage has; what is sent is newer: the state at the moment of the export, of which
index, term, configuration and the v2 store are taken together (they belong to one entry boundary). The follower
answers with that newer index, which is as good for raft.

While exports or transfers are under way the log keeps its entries, so that who got a snapshot can go on by the log.

Upstream: createMergedSnapshotMessage.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_info, log_warn
from etcdpy.pb.raft_values import Message, Snapshot
from etcdpy.server.backend_jobs import wait_job
from etcdpy.server.member import Member
from etcdpy.state.apply.applier import Applier
from etcdpy.state.v2store import V2Store
from etcdpy.storage.backend import Backend
from etcdpy.storage.backend.jobs import JobError

# Each is a whole copy of the store on disk until the follower has it; further followers wait.
SENDS_AT_ONCE_MAX: Final = 2


class Carrier(Protocol):
    """Who brings a snapshot over the network, and tells raft how that went: the peer transport."""

    def send_snapshot(
        self, message: Message, path: str, size_bytes: int, on_done: Callable[[bool], None] | None = None
    ) -> None: ...


class SnapshotSender:
    """Snapshots on their way to followers."""

    def __init__(
        self,
        *,
        backend: Backend,
        v2store: V2Store,
        applier: Applier,
        member: Member,
        carrier: Carrier,
        report_failure: Callable[[int], None],
        scratch: Path,
        log: logging.Logger,
    ) -> None:
        self._backend = backend
        self._v2store = v2store
        self._applier = applier
        self._member = member
        self._carrier = carrier
        self._report_failure = report_failure
        self._scratch = scratch
        self._log = log
        self._slots = asyncio.Semaphore(SENDS_AT_ONCE_MAX)
        self.in_flight = 0  # exports and transfers

    async def send(self, message: Message) -> None:
        """Export and hand over to the network; return when the follower has it, or will not get it."""
        self.in_flight += 1
        try:
            async with self._slots:
                await self._send(message)
        finally:
            self.in_flight -= 1

    async def _send(self, message: Message) -> None:
        path: Path | None = None
        try:
            path = self._make_scratch_file()
            size_bytes = await self._export(message, path)
            await self._carry(message, path, size_bytes)
        except (JobError, OSError) as error:  # no room for a copy, say: the follower must wait, and raft asks again
            log_warn(self._log, "failed to make a snapshot for a peer", to=format_id(message.to), error=str(error))
            self._report_failure(message.to)
        finally:
            if path is not None:
                path.unlink(missing_ok=True)

    async def _export(self, message: Message, path: Path) -> int:
        """Write the file, and put the snapshot that belongs to it into `message`."""

        def take_moment() -> None:
            index, term = self._backend.consistent_index, self._applier.term
            message.snapshot = Snapshot(self._v2store.save(), index, term, self._member.conf_state)

        job = self._backend.start_export(path, take_moment)
        try:
            await wait_job(self._backend, job.poll)
        except asyncio.CancelledError:
            job.cancel()
            raise
        return job.size

    async def _carry(self, message: Message, path: Path, size_bytes: int) -> None:
        assert message.snapshot is not None
        fields = {
            "from": format_id(message.from_),
            "to": format_id(message.to),
            "bytes": size_bytes,
            "snapshot-index": message.snapshot.index,
        }
        log_info(self._log, "sending merged snapshot", **fields)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def finish(ok: bool) -> None:
            if not done.done():
                done.set_result(ok)

        self._carrier.send_snapshot(message, str(path), size_bytes, finish)
        if await done:
            log_info(self._log, "sent merged snapshot", **fields)

    def _make_scratch_file(self) -> Path:
        descriptor, path = tempfile.mkstemp(prefix="db.tmp.", dir=self._scratch)
        os.close(descriptor)
        return Path(path)
