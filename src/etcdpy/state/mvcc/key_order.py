"""Keys in order: a sorted list, and beside it the new keys that nobody has asked to see in order yet.

    pending   {k9, k2}            a set: adding costs 0.1 us
    sorted    [k1 k3 k4 ... ]     adding costs 2 us in a million keys: most of it cache misses

Rules
  * A key is in `pending` or in `sorted`, never in both.
  * Whoever reads in order settles first. PENDING_MAX bounds how long that takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from sortedcontainers import SortedList

# Settling so many keys takes about 15 ms in a list of a million.
PENDING_MAX: Final = 8192


class KeyOrder:
    """A sorted set of keys."""

    __slots__ = ("_sorted", "_pending")

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._sorted: Any = SortedList(keys)
        self._pending: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._pending)

    def add(self, key: bytes) -> None:
        """Take in a key that is not there."""
        pending = self._pending
        pending.add(key)
        if len(pending) >= PENDING_MAX:
            self.settle()

    def remove(self, key: bytes) -> None:
        """Drop a key that is there."""
        if key in self._pending:
            self._pending.remove(key)
        else:
            self._sorted.remove(key)

    def between(self, start: bytes, end: bytes | None, limit: int = 0) -> list[bytes]:
        """Return the keys of [start, end), end None: to the last; at most `limit` of them, 0: all."""
        if self._pending:
            self.settle()
        if end is not None and end <= start:
            return []
        found = self._sorted.irange(start, end, (True, False))
        return list(islice(found, limit) if limit else found)

    def after(self, key: bytes, end: bytes | None, limit: int) -> list[bytes]:
        """Return at most `limit` keys of (key, end): how a sliced walk goes on."""
        return self.between(key + b"\0", end, limit)

    def count(self, start: bytes, end: bytes | None) -> int:
        """Return how many keys [start, end) holds, without looking at them."""
        if self._pending:
            self.settle()
        if not self._sorted or (end is not None and end <= start):
            return 0
        stop = len(self._sorted) if end is None else self._sorted.bisect_left(end)
        return int(stop - self._sorted.bisect_left(start))

    def settle(self) -> None:
        """Bring the pending keys into the sorted list."""
        pending = sorted(self._pending)
        self._pending.clear()
        if len(pending) * 4 > len(self._sorted):
            self._sorted.update(pending)
            return
        add = self._sorted.add
        for key in pending:
            add(key)
