"""The log of one node: stable storage and unstable tail as one sequence, and how far it is committed and applied.

    first_index ........ applied .... applying ...... committed ........ last_index
    |------- storage (on disk) ------------------------------|-- unstable tail --|

Rules
  * applied <= applying <= committed <= last_index.
  * `applying`: handed out to the state machine. `applied`: the state machine said so.
  * With asynchronous writes only entries of the storage are handed out: nothing is applied that is not on disk.
  * What is handed out and not yet applied stays within `applying_size_max` bytes.
  * Positions before first_index - 1 and after last_index have no term; asking raises LogCompacted or LogUnavailable.

Upstream: raft/log.go.
"""

from __future__ import annotations

from collections import deque

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import Entry, Snapshot
from etcdpy.raft.config import Logger
from etcdpy.raft.errors import LogCompacted, LogError, LogUnavailable
from etcdpy.raft.sizes import NO_LIMIT, limit_size, size_bound, take_within
from etcdpy.raft.storage import Storage
from etcdpy.raft.unstable import Unstable

_NOTHING: list[Entry] = []


class RaftLog:
    """See the top of the file."""

    __slots__ = (
        "storage",
        "unstable",
        "last_index",
        "committed",
        "applying",
        "applied",
        "applying_size_max",
        "_applying_batches",
        "_applying_size",
        "_applying_paused",
        "_logger",
    )

    def __init__(self, storage: Storage, logger: Logger, applying_size_max: int = NO_LIMIT) -> None:
        first_index = storage.first_index()
        self.storage = storage
        self.last_index = storage.last_index()  # Invariant: of tail, else snapshot, else storage.
        self.unstable = Unstable(self.last_index + 1, logger)
        # The last entry of a compaction was committed and applied, or it would not have been compacted.
        self.committed = self.applying = self.applied = first_index - 1
        self.applying_size_max = applying_size_max
        # Batches handed out and not applied: (last index, bytes), oldest first.
        self._applying_batches: deque[tuple[int, int]] = deque()
        self._applying_size = 0  # Invariant: sum over the batches.
        self._applying_paused = False
        self._logger = logger

    def __str__(self) -> str:
        unstable = self.unstable
        return (
            f"committed={self.committed}, applied={self.applied}, applying={self.applying}, "
            f"unstable.offset={unstable.offset}, unstable.offsetInProgress={unstable.in_progress}, "
            f"len(unstable.Entries)={len(unstable.tail)}"
        )

    # Reading

    def first_index(self) -> int:
        snapshot = self.unstable.snapshot
        return self.storage.first_index() if snapshot is None else snapshot.index + 1

    def term(self, index: int) -> int:
        """Return the term at `index`. Raise LogCompacted or LogUnavailable when it is not known."""
        known = self.unstable.find_term(index)
        if known is not None:
            return known
        if index > self.last_index:
            raise LogUnavailable
        if index + 1 < self.first_index():
            raise LogCompacted
        return self.storage.term(index)

    def term_or_zero(self, index: int) -> int:
        try:
            return self.term(index)
        except LogError:
            return 0

    def last_term(self) -> int:
        return self.term(self.last_index)

    def matches(self, *, index: int, term: int) -> bool:
        """Return whether the entry at `index` is there and of `term`."""
        try:
            return self.term(index) == term
        except LogError:
            return False

    def is_up_to_date(self, *, index: int, term: int) -> bool:
        """Return whether a log ending at (index, term) is at least as new as ours (paper 5.4.1)."""
        last_term = self.last_term()
        return term > last_term or (term == last_term and index >= self.last_index)

    def slice(self, lo: int, hi: int, max_size: int = NO_LIMIT) -> list[Entry]:
        """Return entries of [lo, hi) within `max_size` bytes, at least one. Raise LogCompacted if `lo` is gone."""
        if lo >= hi:
            return []
        if hi > self.last_index + 1:
            raise InvariantError(f"slice[{lo},{hi}) out of bound [{self.first_index()},{self.last_index}]")
        if lo < self.first_index():
            raise LogCompacted
        offset = self.unstable.offset
        if hi <= offset:
            return self.storage.entries(lo, hi, max_size)
        if lo >= offset:
            return take_within(self.unstable.tail, lo - offset, hi - offset, max_size)
        stable = self.storage.entries(lo, offset, max_size)
        if len(stable) < offset - lo:
            return stable
        return limit_size(stable + self.unstable.tail[: hi - offset], max_size)

    def entries_from(self, index: int, max_size: int = NO_LIMIT) -> list[Entry]:
        return self.slice(index, self.last_index + 1, max_size)

    def snapshot(self) -> Snapshot:
        return self.storage.snapshot() if self.unstable.snapshot is None else self.unstable.snapshot

    # Growing

    def append(self, entries: list[Entry]) -> None:
        """Put `entries` (not empty) at their indexes; uncommitted entries there are replaced."""
        before = entries[0].index - 1
        if before < self.committed:
            raise InvariantError(f"after({before}) is out of range [committed({self.committed})]")
        self.unstable.append(entries)
        self.last_index = before + len(entries)

    def maybe_append(self, *, index: int, term: int, entries: list[Entry], committed: int) -> int | None:
        """Append a leader's entries that follow (index, term); return our last index that is surely the leader's.

        None when we do not hold (index, term): the log matching property forbids to append then (paper 5.3).
        """
        if not self.matches(index=index, term=term):
            return None
        last_new = index + len(entries)
        conflict = self._find_conflict(entries)
        if conflict:
            if conflict <= self.committed:
                raise InvariantError(f"entry {conflict} conflict with committed entry [committed({self.committed})]")
            self.append(entries[conflict - index - 1 :])
        self.commit_to(min(committed, last_new))
        return last_new

    def _find_conflict(self, entries: list[Entry]) -> int:
        """Return the index of the first entry that we do not hold, or 0."""
        last_index = self.last_index
        for entry in entries:
            # Past our end there is nothing to compare with: the usual case, all entries new.
            if entry.index > last_index:
                return entry.index
            if not self.matches(index=entry.index, term=entry.term):
                self._logger.info(
                    f"found conflict at index {entry.index} [existing term: {self.term_or_zero(entry.index)}, "
                    f"conflicting term: {entry.term}]"
                )
                return entry.index
        return 0

    def find_conflict_by_term(self, index: int, term: int) -> tuple[int, int]:
        """Return the last (index, term) of ours, at or before `index`, whose term is not above `term`.

        Leader and follower use it to skip, in one round, everything that cannot match. The term is 0 when unknown:
        before the first entry and after the last.
        """
        lowest = self.first_index() - 1
        if not lowest <= index <= self.last_index:
            return index, 0
        if self.term(index) > term:
            index = self._find_last_of_term(lowest, index, term)
        if index < lowest:
            return index, 0
        return index, self.term(index)

    def _find_last_of_term(self, low: int, high: int, term: int) -> int:
        """Return the last index of [low, high) whose term is not above `term`, or low - 1. Terms never fall."""
        if self.term(low) > term:
            return low - 1
        while high - low > 1:
            middle = (low + high) // 2
            if self.term(middle) > term:
                high = middle
            else:
                low = middle
        return low

    def restore(self, snapshot: Snapshot) -> None:
        """Start over behind `snapshot`, which is committed."""
        self._logger.info(f"log [{self}] starts to restore snapshot [index: {snapshot.index}, term: {snapshot.term}]")
        self.unstable.restore(snapshot)
        self.committed = self.last_index = snapshot.index

    # Committing

    def commit_to(self, index: int) -> None:
        """Move the commit index up to `index`; it never goes back."""
        if index <= self.committed:
            return
        if index > self.last_index:
            raise InvariantError(
                f"tocommit({index}) is out of range [lastIndex({self.last_index})]. "
                "Was the raft log corrupted, truncated, or lost?"
            )
        self.committed = index

    def maybe_commit(self, *, index: int, term: int) -> bool:
        """Commit up to `index` if the entry there is of `term`, the leader's own (paper 5.4.2, figure 8)."""
        if index <= self.committed or not term or not self.matches(index=index, term=term):
            return False
        self.commit_to(index)
        return True

    # Writing and applying

    def has_snapshot_pending(self) -> bool:
        return self.unstable.snapshot is not None

    def appliable_index(self, allow_unstable: bool) -> int:
        """Return the last index that may be handed out."""
        committed = self.committed
        if allow_unstable or committed < self.unstable.offset:
            return committed
        return self.unstable.offset - 1

    def has_appliable(self, allow_unstable: bool) -> bool:
        if self.applying >= self.committed or self._applying_paused or self.unstable.snapshot is not None:
            return False
        return self.applying < self.appliable_index(allow_unstable)

    def appliable_entries(self, allow_unstable: bool) -> list[Entry]:
        """Return the committed entries to hand out next, within the limit of what may wait."""
        if not self.has_appliable(allow_unstable):
            return _NOTHING
        room = self.applying_size_max - self._applying_size
        if room <= 0:
            raise InvariantError(
                f"applying entry size ({self.applying_size_max}-{self._applying_size})={room} not positive"
            )
        return self.slice(self.applying + 1, self.appliable_index(allow_unstable) + 1, room)

    def accept_applying(self, entries: list[Entry], allow_unstable: bool) -> None:
        """Count `entries` (not empty) as handed out; pause when no more fit."""
        last = entries[-1].index
        if last > self.committed:
            raise InvariantError(
                f"applying({last}) is out of range [prev({self.applying}), committed({self.committed})]"
            )
        size = size_bound(entries)
        self.applying = last
        self._applying_batches.append((last, size))
        self._applying_size += size
        # Stopping short of what could be had means that the next entry did not fit.
        self._applying_paused = self._applying_size >= self.applying_size_max or last < self.appliable_index(
            allow_unstable
        )

    def applied_to(self, index: int) -> None:
        """Note that the state machine holds everything up to `index`."""
        if not self.applied <= index <= self.committed:
            raise InvariantError(
                f"applied({index}) is out of range [prevApplied({self.applied}), committed({self.committed})]"
            )
        self.applied = index
        if self.applying < index:
            self.applying = index
        batches = self._applying_batches
        while batches and batches[0][0] <= index:
            self._applying_size -= batches.popleft()[1]
        self._applying_paused = self._applying_size >= self.applying_size_max

    def check_invariants(self) -> None:
        self.unstable.check_invariants()
        if not self.applied <= self.applying <= self.committed <= self.last_index:
            raise InvariantError(
                f"order is broken: applied {self.applied}, applying {self.applying}, "
                f"committed {self.committed}, last {self.last_index}"
            )
        unstable = self.unstable
        if unstable.tail:
            last_index = unstable.tail[-1].index
        else:
            last_index = unstable.offset - 1
        if last_index != self.last_index:
            raise InvariantError(f"last index is {last_index}, remembered as {self.last_index}")
        if sum(size for _, size in self._applying_batches) != self._applying_size:
            raise InvariantError(f"applying size {self._applying_size} is not that of its batches")
