"""What one user may read and write: the permissions of all their roles, as two lists of ranges that do not touch.

    granted   [a, c)  [b, f)  [f, g)  m         wanted   [a, g): yes      [a, h): no      m: yes
    merged    [a,                 g)  [m, m\\0)

A key alone is the range up to its successor; an end of b"\\0" is no end. A wanted range whose end lies before its
beginning is empty, and asks for no more than the key it begins with.

Source: facts 1.10. Upstream: server/auth/range_perm_cache.go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from etcdpy.pb import auth_pb2

ROOT: Final = b"root"
READ: Final = auth_pb2.Permission.READ
WRITE: Final = auth_pb2.Permission.WRITE
NO_END: Final = b"\0"


class Ranges:
    """A set of keys. Invariant: `_starts` grows, and each range ends before the next begins."""

    __slots__ = ("_starts", "_ends")

    def __init__(self, permissions: Iterable[auth_pb2.Permission]) -> None:
        self._starts: list[bytes] = []
        self._ends: list[bytes | None] = []
        for start, end in sorted((known.key, known.range_end or known.key + b"\0") for known in permissions):
            if start and (end == NO_END or start < end):  # 3.5.1 let empty ones in, which allow nothing
                self._add(start, None if end == NO_END else end)

    def _add(self, start: bytes, end: bytes | None) -> None:
        """Add a range that begins after all others did."""
        if self._ends and ((last := self._ends[-1]) is None or start <= last):
            if last is not None and (end is None or end > last):
                self._ends[-1] = end
            return
        self._starts.append(start)
        self._ends.append(end)

    def cover(self, key: bytes, range_end: bytes) -> bool:
        place = bisect_right(self._starts, key) - 1
        if place < 0:
            return False
        end = self._ends[place]
        if end is None:
            return True
        if key >= end or range_end == NO_END:
            return False
        return not range_end or range_end <= end  # a key that lies before an end has its successor within


class Grants:
    """Of one user at one revision."""

    __slots__ = ("is_root", "_readable", "_writable")

    def __init__(self, *, is_root: bool, permissions: Iterable[auth_pb2.Permission]) -> None:
        self.is_root = is_root
        known = list(permissions)
        self._readable = Ranges(permission for permission in known if permission.permType != WRITE)
        self._writable = Ranges(permission for permission in known if permission.permType != READ)

    def allow_read(self, key: bytes, range_end: bytes) -> bool:
        return self.is_root or self._readable.cover(key, range_end)

    def allow_write(self, key: bytes, range_end: bytes) -> bool:
        return self.is_root or self._writable.cover(key, range_end)
