"""Compaction: takes out of index and backend what nobody can read any more, in slices.

    compact(R)  -> scheduledCompactRev = R in the bucket `meta`, together with the entry that asked
    step()      -> walks the keys in order; per key drops all records up to R but the one in force
    at the end  -> finishedCompactRev = R

Rules
  * Reads below R are refused from compact(R) on, so the order in which records go is nobody's business.
  * Index and backend lose a record in the same step; what a crash leaves behind, the restart reads into the index
    again, and the next run removes.
  * A step is bounded: a key with a million revisions takes many. The walk remembers where it stands. Keys that come
    meanwhile have nothing up to R.
  * A compaction that is asked for while one runs starts the walk anew with the higher R: one run finishes both.
  * Where compactions are hashed (compaction_hashes.py), nothing is removed before the hash is made.
  * A tombstone of exactly R stays (3.5.16 and newer), so that a watcher from R still learns of it.

Upstream: mvcc/kvstore_compaction.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcdpy.state.mvcc.compaction_hashes import CompactionHashes
from etcdpy.state.mvcc.key_history import bound_after, disk_key
from etcdpy.storage.schema.buckets import KEY, META
from etcdpy.storage.schema.meta import FINISHED_COMPACT_REVISION, SCHEDULED_COMPACT_REVISION
from etcdpy.storage.schema.revisions import encode_revision

if TYPE_CHECKING:
    from etcdpy.state.mvcc.store import Store


class Compaction:
    """The compaction that is scheduled, or none."""

    __slots__ = ("_store", "_revision", "_bound", "_next_key", "is_running", "hashes")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._revision = -1
        self._bound = b""
        self._next_key = b""  # The walk goes on here. Invariant: all keys below it are done.
        self.is_running = False
        self.hashes = CompactionHashes(store)

    def schedule(self, revision: int, previous: int) -> None:
        """Note in the backend that compaction at `revision` is asked for, after one at `previous`, and begin."""
        self.hashes.schedule(revision, previous)
        self._store.backend.put(META, SCHEDULED_COMPACT_REVISION, encode_revision(revision, 0))
        self.resume(revision)

    def resume(self, revision: int) -> None:
        """Begin the walk, which the backend knows of already."""
        self._revision = revision
        self._bound = bound_after(revision)
        self._next_key = b""
        self.is_running = True

    def step(self, batch: int) -> bool:
        """Look at `batch` keys or remove `batch` records, whichever comes first. Return whether nothing is left."""
        if not self.is_running:
            return True
        if self.hashes.are_due:
            self.hashes.step()
            return False
        index = self._store.index
        delete = self._store.backend.delete
        keys = index.order.between(self._next_key, None, batch)
        removed = 0
        for key in keys:
            dropped = index.compact(key, self._bound, self._revision, batch - removed)
            if dropped:
                for record in dropped:
                    delete(KEY, disk_key(record))
                removed += len(dropped)
                if removed == batch:
                    break  # This key may have more to lose: it is where the next step begins.
            self._next_key = key + b"\0"
        self._store.counters.compacted_keys += removed
        if removed < batch and len(keys) < batch:
            self._finish()
        self._store.backend.end_batch()
        return not self.is_running

    def _finish(self) -> None:
        self._store.backend.put(META, FINISHED_COMPACT_REVISION, encode_revision(self._revision, 0))
        self.is_running = False
