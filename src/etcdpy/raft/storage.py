"""The stable part of the log, as raft reads it, and the one kept in memory.

    compacted ... | offset | offset+1 ... last_index
                     dummy   entries

Rules
  * Entries are contiguous: entry number i of the list has index offset + 1 + i.
  * The term at `offset` is still known: followers that stand exactly there can be appended to.
  * Only what is on disk may be appended here: raft treats everything in it as durable.
  * An error of a position (`LogError`) is an answer, not a failure.

The log is one list. Compaction deletes its head in place (one memmove of pointers: 100,000 kept entries take about
30 us), appending extends its tail; neither copies entries.

Upstream: raft/storage.go.
"""

from __future__ import annotations

from typing import Protocol

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ConfState, Entry, HardState, Snapshot
from etcdpy.raft.errors import LogCompacted, LogUnavailable, SnapshotOutOfDate
from etcdpy.raft.sizes import NO_LIMIT, take_within


class Storage(Protocol):
    """What raft asks of the stable log. It never writes here: writes travel through Ready."""

    def initial_state(self) -> tuple[HardState, ConfState]:
        """Return what survived the last run. Asked once, at start."""

    def entries(self, lo: int, hi: int, max_size: int = NO_LIMIT) -> list[Entry]:
        """Return entries of [lo, hi) within `max_size` bytes, at least one. The list is the caller's."""

    def term(self, index: int) -> int:
        """Return the term of the entry at `index`, which may be the one before the first."""

    def last_index(self) -> int:
        """Return the index of the last entry, or that of the snapshot when there is none."""

    def first_index(self) -> int:
        """Return the index of the first entry that can be read."""

    def snapshot(self) -> Snapshot:
        """Return the newest snapshot, or raise SnapshotTemporarilyUnavailable."""


class MemoryStorage:
    """The stable log in memory; the disk holds the same in the WAL."""

    __slots__ = ("_hard_state", "_snapshot", "_entries", "_offset", "_offset_term")

    def __init__(self) -> None:
        self._hard_state = HardState()
        self._snapshot = Snapshot()
        self._entries: list[Entry] = []  # Invariant: indexes offset+1, offset+2, ...
        self._offset = 0  # Invariant: everything at and before it is compacted.
        self._offset_term = 0

    def initial_state(self) -> tuple[HardState, ConfState]:
        return self._hard_state, self._snapshot.conf_state

    def set_hard_state(self, hard_state: HardState) -> None:
        self._hard_state = hard_state

    def first_index(self) -> int:
        return self._offset + 1

    def last_index(self) -> int:
        return self._offset + len(self._entries)

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def term(self, index: int) -> int:
        position = index - self._offset - 1
        if 0 <= position < len(self._entries):
            return self._entries[position].term
        if position == -1:
            return self._offset_term
        if position < -1:
            raise LogCompacted
        raise LogUnavailable

    def entries(self, lo: int, hi: int, max_size: int = NO_LIMIT) -> list[Entry]:
        offset = self._offset
        if lo <= offset:
            raise LogCompacted
        if hi > offset + len(self._entries) + 1:
            raise InvariantError(f"entries' hi({hi}) is out of bound lastindex({self.last_index()})")
        if not self._entries:
            raise LogUnavailable
        return take_within(self._entries, lo - offset - 1, hi - offset - 1, max_size)

    def append(self, entries: list[Entry]) -> None:
        """Add `entries`; they replace what stands at their indexes and after."""
        if not entries:
            return
        position = entries[0].index - self._offset - 1
        if position < 0:
            entries = entries[-position:]
            position = 0
            if not entries:
                return
        if position > len(self._entries):
            raise InvariantError(f"missing log entry [last: {self.last_index()}, append at: {entries[0].index}]")
        if position < len(self._entries):
            del self._entries[position:]
        self._entries.extend(entries)

    def apply_snapshot(self, snapshot: Snapshot) -> None:
        """Start over from `snapshot`: the log before and after it is gone."""
        if self._snapshot.index >= snapshot.index:
            raise SnapshotOutOfDate
        self._snapshot = snapshot
        self._entries = []
        self._offset = snapshot.index
        self._offset_term = snapshot.term

    def create_snapshot(self, index: int, conf_state: ConfState | None, data: bytes) -> Snapshot:
        """Make and keep a snapshot of the state machine at `index`. The log stays as it is: see compact()."""
        if index <= self._snapshot.index:
            raise SnapshotOutOfDate
        if index > self.last_index():
            raise InvariantError(f"snapshot {index} is out of bound lastindex({self.last_index()})")
        if conf_state is None:
            conf_state = self._snapshot.conf_state
        self._snapshot = Snapshot(data, index, self.term(index), conf_state)
        return self._snapshot

    def compact(self, index: int) -> None:
        """Drop the entries up to and including `index`, which the state machine must have applied."""
        if index <= self._offset:
            raise LogCompacted
        if index > self.last_index():
            raise InvariantError(f"compact {index} is out of bound lastindex({self.last_index()})")
        self._offset_term = self.term(index)
        del self._entries[: index - self._offset]
        self._offset = index

    def check_invariants(self) -> None:
        """Raise unless the log is contiguous and its terms never fall."""
        term = self._offset_term
        for position, entry in enumerate(self._entries):
            if entry.index != self._offset + 1 + position:
                raise InvariantError(f"entry {entry.index} stands at {self._offset + 1 + position}")
            if entry.term < term:
                raise InvariantError(f"term falls from {term} to {entry.term} at index {entry.index}")
            term = entry.term
