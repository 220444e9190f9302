"""A leader's snapshot in the place of our state.

    <index>.snap.db -> new generation beside the store -> .snap, WAL record, hard state -> pointer moves -> memory

The order is the safety. Until the log notes the snapshot, as committed, a restart finds what we had; from then on it
finds the snapshot, and builds the generation from the file again where the pointer had not moved yet. The file stays
until a later snapshot makes it useless.

Nothing else is written to the log meanwhile, and nothing applied: see server.loop.

Upstream: EtcdServer.applySnapshot, raftNode.start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.base.log import log_info
from etcdpy.pb.raft_values import HardState, Snapshot
from etcdpy.server.backend_jobs import wait_job
from etcdpy.server.disk import DiskThread
from etcdpy.server.effects import Write
from etcdpy.server.snapshots import SnapshotKeeper
from etcdpy.state.apply.state_machine import StateMachine
from etcdpy.state.mvcc.restore import read as read_history
from etcdpy.storage.backend import Backend
from etcdpy.storage.backend.jobs import JobError
from etcdpy.storage.bolt.takeover import build_generation
from etcdpy.storage.snap import Snapshotter
from etcdpy.storage.wal import Wal, WalBatch, WalSnapshot


class SnapshotInstaller:
    """Takes one received snapshot at a time."""

    def __init__(
        self,
        *,
        backend: Backend,
        snapshotter: Snapshotter,
        wal: Wal,
        disk: DiskThread,
        machine: StateMachine,
        keeper: SnapshotKeeper,
        on_restored: Callable[[], None],
        log: logging.Logger,
    ) -> None:
        self._backend = backend
        self._snapshotter = snapshotter
        self._wal = wal
        self._disk = disk
        self._machine = machine
        self._keeper = keeper
        self._on_restored = on_restored
        self._log = log
        self.is_installing = False

    async def install(self, write: Write) -> None:
        """Make the snapshot of `write` our state. Raise StorageError: then the member cannot go on."""
        snapshot = write.snapshot
        assert snapshot is not None
        self.is_installing = True
        try:
            await self._install(write, snapshot)
        except JobError as error:
            raise StorageError(str(error)) from error
        finally:
            self.is_installing = False

    async def _install(self, write: Write, snapshot: Snapshot) -> None:
        fields = {
            "current-snapshot-index": self._keeper.last_index,
            "current-applied-index": self._backend.consistent_index,
            "incoming-leader-snapshot-index": snapshot.index,
            "incoming-leader-snapshot-term": snapshot.term,
        }
        log_info(self._log, "applying snapshot", **fields)
        path = Path(self._snapshotter.db_file_path(snapshot.index))
        job = self._backend.start_install(lambda store: build_generation(store, path), read_history)
        try:
            await wait_job(self._backend, job.is_built)
            await self._disk.run(self._make_durable(write, snapshot))
            job.switch()
            await wait_job(self._backend, job.poll)
        except BaseException:
            job.cancel()
            raise
        self._machine.restore(self._backend, snapshot, job.content)
        self._keeper.restored(snapshot.index)
        self._on_restored()
        log_info(self._log, "applied snapshot", **fields)

    def _make_durable(self, write: Write, snapshot: Snapshot) -> Callable[[], None]:
        """Return the disk thread's job; the records join the log's chain here."""
        batches = self._encode(write, snapshot)

        def persist() -> None:
            self._snapshotter.save(snapshot)
            for batch in batches:
                self._wal.persist(batch)
            self._wal.release_lock_to(snapshot.index)
            self._snapshotter.release_snap_dbs(snapshot.index)

        return persist

    def _encode(self, write: Write, snapshot: Snapshot) -> list[WalBatch]:
        """The note of the snapshot, the state that commits it, and what follows it: in this order only is a log that
        ends anywhere in between one that can be read."""
        state = write.hard_state
        if state is None or state.commit < snapshot.index:
            raise InvariantError(f"snapshot {snapshot.index} came without the hard state that commits it: {state}")
        wal = self._wal
        batches = [
            wal.encode_snapshot(WalSnapshot(snapshot.index, snapshot.term, snapshot.conf_state)),
            wal.encode([], HardState(state.term, state.vote, snapshot.index)),
        ]
        # A commit index is a hint elsewhere. Here the store moves on its word: lost with the power, it would leave a
        # log that ends before the store.
        batches[-1].must_sync = True
        if write.entries:
            batches.append(wal.encode(write.entries, state))
        return batches
