"""Snapshots of the log: every `snapshot_count` applied entries a `.snap`, so that the log before it may go.

    due -> freeze the v2 store's JSON -> backend on disk at an index >= S -> .snap -> its WAL record -> release, compact

The order is the safety: a WAL record without its file would leave a member that cannot start, and a file whose
database is older would leave entries that nobody has (design section 5). The file comes first; without its record it is
an orphan and harms nobody.

Upstream: EtcdServer.snapshot, storage.SaveSnap.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from etcdpy.base.log import log_info
from etcdpy.pb.raft_values import ConfState, Snapshot
from etcdpy.raft.storage import MemoryStorage
from etcdpy.server.disk import DiskThread
from etcdpy.server.member import Member
from etcdpy.state.v2store import V2Store
from etcdpy.storage.backend import Backend
from etcdpy.storage.snap import Snapshotter
from etcdpy.storage.wal import Wal, WalSnapshot

# Entries worth one pass over the list that holds them.
SHORTEN_ENTRIES_MIN: Final = 5_000


class SnapshotKeeper:
    """Takes one snapshot at a time."""

    def __init__(
        self,
        *,
        snapshot_count: int,
        catchup_entries: int,
        max_wals: int,
        max_snapshots: int,
        last_index: int,
        backend: Backend,
        v2store: V2Store,
        wal: Wal,
        snapshotter: Snapshotter,
        member: Member,
        raft_storage: MemoryStorage,
        disk: DiskThread,
        on_failure: Callable[[BaseException], None],
        log: logging.Logger,
    ) -> None:
        self._snapshot_count = snapshot_count
        self._catchup_entries = catchup_entries
        self._max_wals = max_wals
        self._max_snapshots = max_snapshots
        self._last_index = last_index  # of the newest snapshot that was asked for
        self._backend = backend
        self._v2store = v2store
        self._wal = wal
        self._snapshotter = snapshotter
        self._member = member
        self._raft_storage = raft_storage
        self._disk = disk
        self._on_failure = on_failure
        self._log = log
        self._waiting: Snapshot | None = None  # for the backend
        self._is_busy = False
        # Whether followers are being brought to where the log goes on: it may not be shortened meanwhile.
        self.is_log_needed: Callable[[], bool] = lambda: False

    def consider(self, applied_index: int, term: int, conf_state: ConfState) -> None:
        """Begin a snapshot at `applied_index` when enough was applied since the last one."""
        if self._is_busy:
            return
        if applied_index - self._last_index <= self._snapshot_count:
            self._maybe_shorten(applied_index, conf_state)
            return
        self._is_busy = True
        log_info(
            self._log,
            "triggering snapshot",
            local_member_applied_index=applied_index,
            local_member_snapshot_index=self._last_index,
            local_member_snapshot_count=self._snapshot_count,
        )
        self._last_index = applied_index
        self._waiting = Snapshot(self._v2store.save(), applied_index, term, conf_state)
        self._backend.commit_soon()

    def _maybe_shorten(self, applied_index: int, conf_state: ConfState) -> None:
        """Forget, in memory, entries that nobody will ask for: without followers nobody lags behind."""
        if len(conf_state.voters) != 1 or conf_state.learners or conf_state.voters_outgoing:
            return
        kept_from = applied_index - self._catchup_entries
        storage = self._raft_storage
        if kept_from - storage.first_index() >= SHORTEN_ENTRIES_MIN and kept_from > storage.snapshot().index:
            # Who joins later is behind the log's beginning: raft then asks for a snapshot, and must have a name for it.
            # The state itself is exported when it is sent.
            storage.create_snapshot(kept_from, conf_state, b"")
            storage.compact(kept_from)

    def poll(self) -> None:
        """Write the snapshot that waits, once the backend is on disk up to it."""
        snapshot = self._waiting
        if snapshot is None:
            return
        if self._backend.committed_index < snapshot.index:
            self._backend.commit_soon()
            return
        self._waiting = None
        # The records join the chain now, on the loop; the disk thread writes them after the file, in its turn. A
        # snapshot counts only when the log says that it is committed, so the commit index may not wait any longer.
        deferred = self._member.take_deferred()
        commit = self._wal.encode([], deferred.hard_state) if deferred is not None else None
        record = self._wal.encode_snapshot(WalSnapshot(snapshot.index, snapshot.term, snapshot.conf_state))

        def write() -> None:
            self._snapshotter.save(snapshot)
            if commit is not None:
                self._wal.persist(commit)
            self._wal.persist(record)
            self._wal.release_lock_to(snapshot.index)

        self._disk.submit(write, lambda error: self._finish(snapshot, error))

    @property
    def last_index(self) -> int:
        """Of the newest snapshot that was asked for, or received."""
        return self._last_index

    def restored(self, index: int) -> None:
        """A leader's snapshot at `index` replaced our state; one of our own that waited is behind it."""
        self._last_index = max(self._last_index, index)
        if self._waiting is not None:
            self._waiting = None
            self._is_busy = False

    def purge(self) -> None:
        """Remove the oldest files beyond --max-wals and --max-snapshots; 0 keeps all."""

        def remove() -> None:
            if self._max_wals:
                self._wal.purge(self._max_wals)
            if self._max_snapshots:
                self._snapshotter.purge(self._max_snapshots)

        self._disk.submit(remove, self._after_purge)

    def _after_purge(self, error: BaseException | None) -> None:
        if error is not None:
            self._on_failure(error)

    def _finish(self, snapshot: Snapshot, error: BaseException | None) -> None:
        if error is not None:
            self._on_failure(error)
            return
        self._is_busy = False
        log_info(self._log, "saved snapshot", snapshot_index=snapshot.index)
        if snapshot.index <= self._raft_storage.snapshot().index:  # a leader's newer one came in between
            return
        self._raft_storage.create_snapshot(snapshot.index, snapshot.conf_state, snapshot.data)
        compact_index = max(1, snapshot.index - self._catchup_entries)
        if compact_index > self._raft_storage.first_index() and not self.is_log_needed():
            self._raft_storage.compact(compact_index)
            log_info(self._log, "compacted Raft logs", compact_index=compact_index)
