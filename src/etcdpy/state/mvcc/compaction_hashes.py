"""Hashes at compacted revisions: what members compare when the leader checks compactions.

    compact(R), compacted at P before  ->  due (R, P)  ->  hashed in slices, before anything is removed  ->  kept

The hash at R is that of a history compacted at P, as 3.5's members take it while they remove: every record of (P, R]
counts, of the older ones those that are in force at R. After the removal nobody could make it any more, so the last ten
are kept, and HashKV at such an R is answered from here.

Rules
  * As long as a hash is due, nothing is removed: it needs all of (P, R].
  * A compaction that a restart resumes has no hash: part of it may be removed already. Upstream skips it too.

Upstream: mvcc/hash.go, mvcc/kvstore_compaction.go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from etcdpy.state.mvcc.hash_kv import SLICE_RECORDS, KvHash, hash_history

if TYPE_CHECKING:
    from etcdpy.state.mvcc.store import Store

# Upstream's hashStorageMaxSize.
KEPT_MAX: Final = 10
# Compactions that come quicker than they are hashed: the further ones have no hash.
DUE_MAX: Final = KEPT_MAX


class CompactionHashes:
    """The hashes of the last compactions of one store."""

    __slots__ = ("_store", "_due", "_steps", "_kept")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._due: deque[tuple[int, int]] = deque()  # (revision, previous). Invariant: at most DUE_MAX, ascending.
        self._steps: Generator[None, None, int | None] | None = None  # of the oldest that is due
        self._kept: deque[KvHash] = deque(maxlen=KEPT_MAX)  # Invariant: ascending.

    def schedule(self, revision: int, previous: int) -> None:
        if self._store.are_compactions_hashed and len(self._due) < DUE_MAX:
            self._due.append((revision, previous))

    @property
    def are_due(self) -> bool:
        return bool(self._due)

    def step(self) -> None:
        """Go on with the oldest hash that is due, for one slice."""
        revision, previous = self._due[0]
        if self._steps is None:
            self._steps = hash_history(self._store, revision, previous, SLICE_RECORDS, lambda: True)
        try:
            next(self._steps)
        except StopIteration as done:
            self._steps = None
            self._due.popleft()
            value: int = done.value
            self._kept.append(
                KvHash(
                    hash=value, hash_revision=revision, compact_revision=previous, revision=self._store.current_revision
                )
            )

    def find(self, revision: int) -> KvHash | None:
        """Return the hash of the compaction at `revision`, if it is kept."""
        for known in self._kept:
            if known.hash_revision == revision:
                return replace(known, revision=self._store.current_revision)
        return None

    def list_newest_first(self) -> list[KvHash]:
        return list(reversed(self._kept))
