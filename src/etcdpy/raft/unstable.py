"""The unstable tail: entries and a snapshot that raft knows of but that are not yet known to be on disk.

    storage:   [1 2 3 4]
    unstable:          [5 6 7 8]     offset = 5, in_progress = 7: 5 and 6 are being written, 7 and 8 wait

Rules
  * tail[i] has index offset + i.
  * offset <= in_progress <= offset + len(tail).
  * A conflicting append cuts the tail; it never touches storage (whoever writes does that).
  * A snapshot stands before every entry of the tail: snapshot.index < offset.
  * What has been written may have been overwritten meanwhile: only (index, term) together say that it is still there.

Upstream: raft/log_unstable.go.
"""

from __future__ import annotations

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import Entry, Snapshot
from etcdpy.raft.config import Logger


class Unstable:
    """See the top of the file."""

    __slots__ = ("tail", "offset", "in_progress", "snapshot", "snapshot_in_progress", "_logger")

    def __init__(self, offset: int, logger: Logger) -> None:
        self.tail: list[Entry] = []
        self.offset = offset
        self.in_progress = offset  # Invariant: entries before it were handed out for writing.
        self.snapshot: Snapshot | None = None
        self.snapshot_in_progress = False  # Invariant: only with a snapshot.
        self._logger = logger

    def find_term(self, index: int) -> int | None:
        """Return the term at `index` if the tail or the snapshot knows it."""
        position = index - self.offset
        if 0 <= position < len(self.tail):
            return self.tail[position].term
        if self.snapshot is not None and self.snapshot.index == index:
            return self.snapshot.term
        return None

    def take_for_write(self) -> None:
        """Count everything as handed out for writing."""
        self.in_progress = self.offset + len(self.tail)
        if self.snapshot is not None:
            self.snapshot_in_progress = True

    def waiting_entries(self) -> list[Entry]:
        """Return the entries that nobody is writing yet."""
        return self.tail[self.in_progress - self.offset :]

    def waiting_snapshot(self) -> Snapshot | None:
        """Return the snapshot if nobody is writing it yet."""
        return None if self.snapshot_in_progress else self.snapshot

    def append(self, entries: list[Entry]) -> None:
        """Put `entries` at their indexes and cut what stood there and after."""
        first = entries[0].index
        end = self.offset + len(self.tail)
        if first == end:
            self.tail.extend(entries)
        elif first <= self.offset:
            self._logger.info(f"replace the unstable entries from index {first}")
            self.tail = list(entries)
            self.offset = self.in_progress = first
        elif first < end:
            self._logger.info(f"truncate the unstable entries before index {first}")
            del self.tail[first - self.offset :]
            self.tail.extend(entries)
            # What is being written from here on is no longer what must be written.
            self.in_progress = min(self.in_progress, first)
        else:
            raise InvariantError(f"append at {first} leaves a gap after {end - 1}")

    def stable_to(self, index: int, term: int) -> None:
        """Forget the entries up to `index`: they are on disk, if it is still (index, term) that stands there."""
        position = index - self.offset
        if 0 <= position < len(self.tail):
            known = self.tail[position].term
            if known != term:
                self._logger.info(
                    f"entry at (index,term)=({index},{term}) mismatched with "
                    f"entry at ({index},{known}) in unstable log; ignoring"
                )
                return
            del self.tail[: position + 1]
            self.offset = index + 1
            if self.in_progress < self.offset:
                self.in_progress = self.offset
        elif self.find_term(index) is None:
            self._logger.info(f"entry at index {index} missing from unstable log; ignoring")
        else:
            self._logger.info(f"entry at index {index} matched unstable snapshot; ignoring")

    def stable_snapshot_to(self, index: int) -> None:
        """Forget the snapshot if it is the one at `index`."""
        if self.snapshot is not None and self.snapshot.index == index:
            self.snapshot = None
            self.snapshot_in_progress = False

    def restore(self, snapshot: Snapshot) -> None:
        """Start over behind `snapshot`."""
        self.tail = []
        self.offset = self.in_progress = snapshot.index + 1
        self.snapshot = snapshot
        self.snapshot_in_progress = False

    def check_invariants(self) -> None:
        end = self.offset + len(self.tail)
        if not self.offset <= self.in_progress <= end:
            raise InvariantError(f"in progress {self.in_progress} is not within [{self.offset}, {end}]")
        for position, entry in enumerate(self.tail):
            if entry.index != self.offset + position:
                raise InvariantError(f"unstable entry {entry.index} stands at {self.offset + position}")
        if self.snapshot is None and self.snapshot_in_progress:
            raise InvariantError("a snapshot is in progress and there is none")
        if self.snapshot is not None and self.snapshot.index >= self.offset:
            raise InvariantError(f"snapshot {self.snapshot.index} is not before the unstable tail at {self.offset}")
