"""The window of appends sent to one follower and not yet acknowledged.

Rules
  * Indexes rise strictly: each is the last entry of one append.
  * At most `count_max` appends; full as well once their bytes reach `bytes_max` (0: bytes do not count).
  * An acknowledgement of index n frees every append up to n.

Upstream: raft/tracker/inflights.go.
"""

from __future__ import annotations

from collections import deque

from etcdpy.base.invariant import InvariantError


class Inflights:
    """See the top of the file."""

    __slots__ = ("count_max", "bytes_max", "_sent", "_bytes")

    def __init__(self, count_max: int, bytes_max: int = 0) -> None:
        self.count_max = count_max
        self.bytes_max = bytes_max
        self._sent: deque[tuple[int, int]] = deque()  # (last index, bytes of data)
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._sent)

    def is_full(self) -> bool:
        return len(self._sent) >= self.count_max or (self.bytes_max != 0 and self._bytes >= self.bytes_max)

    def add(self, index: int, size: int) -> None:
        if self.is_full():
            raise InvariantError(f"cannot add {index} into a full window of {len(self._sent)} appends")
        self._sent.append((index, size))
        self._bytes += size

    def free_to(self, index: int) -> None:
        """Forget every append whose last entry is at or before `index`."""
        sent = self._sent
        while sent and sent[0][0] <= index:
            self._bytes -= sent.popleft()[1]

    def clear(self) -> None:
        self._sent.clear()
        self._bytes = 0

    def check_invariants(self) -> None:
        if len(self._sent) > self.count_max:
            raise InvariantError(f"{len(self._sent)} appends in a window of {self.count_max}")
        if sum(size for _, size in self._sent) != self._bytes:
            raise InvariantError(f"window counts {self._bytes} bytes")
        indexes = [index for index, _ in self._sent]
        for earlier, later in zip(indexes, indexes[1:], strict=False):
            if earlier >= later:
                raise InvariantError(f"window out of order: {earlier} then {later}")
