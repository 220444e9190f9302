"""A set of key intervals [start, end), kept as disjoint pieces in order, so that a lookup is one bisection."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Intervals:
    """What a transaction's branch deletes."""

    __slots__ = ("_starts", "_ends")

    def __init__(self) -> None:
        # Invariant: both ascend, and _starts[i] < _ends[i] < _starts[i + 1].
        self._starts: list[bytes] = []
        self._ends: list[bytes] = []

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, start: bytes, end: bytes) -> None:
        """Take in [start, end); an interval that ends before it starts holds nothing."""
        if end <= start:
            return
        # All pieces that touch the new one become one with it.
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def update(self, other: Intervals) -> None:
        """Take in all of `other`."""
        for start, end in zip(other._starts, other._ends, strict=True):
            self.add(start, end)

    def holds(self, key: bytes) -> bool:
        """Return whether one of the intervals holds `key`."""
        at = bisect_right(self._starts, key)
        return at > 0 and key < self._ends[at - 1]
