"""What an operator asks of one member: status, hashes, defragmentation, snapshots.

Each is answered by this member alone, from its own state. What takes time goes in slices or in a child process; the
member serves on meanwhile.

Source: etcdserverpb.Maintenance; upstream: server/etcdserver/api/v3rpc/maintenance.go.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Final

from etcdpy.base.errors import Corrupt, EtcdError, NoLeader
from etcdpy.base.log import Duration, log_info
from etcdpy.base.version import CLUSTER_VERSION, VERSION
from etcdpy.pb import rpc_pb2
from etcdpy.server.backend_jobs import wait_job
from etcdpy.server.member import Member
from etcdpy.server.metrics_source import MetricsSource
from etcdpy.server.quota import Quota
from etcdpy.state.alarm import AlarmStore, name_alarm
from etcdpy.state.members import Roster
from etcdpy.state.mvcc.hash_kv import KvHash
from etcdpy.state.mvcc.store import Store
from etcdpy.storage.backend import Backend
from etcdpy.storage.backend.defragment_job import DefragmentJob
from etcdpy.storage.backend.export_job import ExportJob
from etcdpy.storage.backend.jobs import JobError

# Upstream's snapshotSendBufferSize.
SNAPSHOT_BLOB_BYTES: Final = 32 * 1024
# Each is a whole copy of the store on disk until its reader has it; further ones wait.
SNAPSHOTS_AT_ONCE_MAX: Final = 4


class Maintenance:
    """The operator's requests to one member."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        member: Member,
        member_id: int,
        store: Store,
        backend: Backend,
        alarms: AlarmStore,
        roster: Roster,
        quota: Quota,
        metrics: MetricsSource,
        scratch: Path,
        log: logging.Logger,
    ) -> None:
        self._loop = loop
        self._member = member
        self._member_id = member_id
        self._store = store
        self._backend = backend
        self._alarms = alarms
        self._roster = roster
        self._quota = quota
        self._metrics = metrics
        self._scratch = scratch
        self._snapshot_slots = asyncio.Semaphore(SNAPSHOTS_AT_ONCE_MAX)
        self._log = log

    def status(self) -> rpc_pb2.StatusResponse:
        """Return the status without its header."""
        member = self._member
        myself = self._roster.find_member(self._member_id)
        response = rpc_pb2.StatusResponse(
            version=VERSION,
            dbSize=self._backend.size_bytes(),
            leader=member.leader_id,
            raftIndex=member.committed_index,
            raftTerm=member.term,
            raftAppliedIndex=member.applied_index,
            dbSizeInUse=self._backend.size_in_use_bytes(),
            isLearner=myself is not None and myself.is_learner,
            storageVersion=CLUSTER_VERSION,
            dbSizeQuota=self._quota.limit_bytes or 0,
            downgradeInfo=rpc_pb2.DowngradeInfo(
                enabled=bool(self._roster.downgrade_target), targetVersion=self._roster.downgrade_target
            ),
        )
        if not member.leader_id:
            response.errors.append(NoLeader.text)
        for alarm in self._alarms.list_alarms():
            response.errors.append(f"memberID:{alarm.memberID} alarm:{name_alarm(alarm.alarm)} ")
        return response

    async def hash(self) -> int:
        """Return the CRC32C over the whole store."""
        started = self._loop.time()
        job = self._backend.start_hash()
        try:
            while not job.step():
                await asyncio.sleep(0)
        finally:
            job.close()
        self._metrics.hash_duration_seconds.observe(self._loop.time() - started)
        return job.crc

    async def hash_kv(self, revision: int) -> KvHash:
        """Return the hash of the key history up to `revision`; 0 stands for now. Raise EtcdError."""
        started = self._loop.time()
        steps = self._store.hash_steps(revision)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                self._metrics.hash_rev_duration_seconds.observe(self._loop.time() - started)
                result: KvHash = done.value
                return result
            await asyncio.sleep(0)

    async def defragment(self) -> None:
        """Give free pages back to the file system, while serving."""
        started = self._loop.time()
        before = self._backend.size_bytes()
        log_info(self._log, "defragmenting", current_db_size_bytes=before)
        self._metrics.defrag_inflight += 1
        try:
            await self._finish(self._backend.start_defragment())
        finally:
            self._metrics.defrag_inflight -= 1
        took = self._loop.time() - started
        self._metrics.backend_defrag_duration_seconds.observe(took)
        log_info(
            self._log,
            "finished defragmenting directory",
            current_db_size_bytes_diff=self._backend.size_bytes() - before,
            current_db_size_bytes=self._backend.size_bytes(),
            took=Duration(took),
        )

    async def snapshot(self) -> AsyncIterator[rpc_pb2.SnapshotResponse]:
        """Yield the store as a bbolt file in blobs, the SHA-256 of it last; headers are the caller's.

        The file's size is known before the first blob, so `remaining_bytes` is right from the start.
        """
        if self._alarms.is_raised(rpc_pb2.CORRUPT):
            raise Corrupt
        async with self._snapshot_slots, aclosing(self._export()) as responses:
            async for response in responses:
                yield response

    async def _export(self) -> AsyncGenerator[rpc_pb2.SnapshotResponse, None]:
        started = self._loop.time()
        path: Path | None = None
        try:
            path = self._make_scratch_file()
            job = self._backend.start_export(path)
            await self._finish(job)
            log_info(
                self._log,
                "sending database snapshot to client",
                total_bytes=job.size,
                storage_version=CLUSTER_VERSION,
            )
            digest = hashlib.sha256()
            remaining = job.size
            with open(path, "rb") as file:
                while blob := file.read(SNAPSHOT_BLOB_BYTES):
                    digest.update(blob)
                    remaining -= len(blob)
                    yield rpc_pb2.SnapshotResponse(remaining_bytes=remaining, blob=blob, version=CLUSTER_VERSION)
            yield rpc_pb2.SnapshotResponse(remaining_bytes=0, blob=digest.digest(), version=CLUSTER_VERSION)
        except OSError as error:  # no room or no descriptor for a copy: that concerns whoever asked for it, nobody else
            raise EtcdError(f"snapshot: {error}") from error
        finally:
            if path is not None:
                path.unlink(missing_ok=True)  # an export that failed has removed it already
        took = self._loop.time() - started
        self._metrics.backend_snapshot_duration_seconds.observe(took)
        log_info(self._log, "successfully sent database snapshot to client", total_bytes=job.size, took=Duration(took))

    def _make_scratch_file(self) -> Path:
        descriptor, path = tempfile.mkstemp(prefix="db.tmp.", dir=self._scratch)
        os.close(descriptor)
        return Path(path)

    async def _finish(self, job: ExportJob | DefragmentJob) -> None:
        try:
            await wait_job(self._backend, job.poll)
        except JobError as error:
            raise EtcdError(str(error)) from error
