"""Changes that some slow stream has yet to be told of, kept in memory while they are few.

Most streams that fall behind do so for the time of a few socket writes. Catching up from here costs what being told at
once would have cost; only what no longer fits is read back from the store.

Upstream keeps the events of a slow watcher in its victim batch instead, once per watcher.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from etcdpy.state.mvcc.change import Change

# Enough for a second of an ordinary load; what is older comes from the store.
BACKLOG_CHANGES_MAX: Final = 20_000
BACKLOG_BYTES_MAX: Final = 16 << 20

_revision_of = attrgetter("revision")


class Backlog:
    """The changes from `first_revision` up to the hub's revision, or nothing."""

    __slots__ = ("is_recording", "first_revision", "_changes", "_bytes")

    def __init__(self) -> None:
        self.is_recording = False
        self.first_revision = 0
        self._changes: list[Change] = []  # Invariant: revisions never decrease, none is below first_revision.
        self._bytes = 0

    def start(self, first_revision: int) -> None:
        """Begin to record, with nothing."""
        self.is_recording = True
        self.first_revision = first_revision
        self._changes = []
        self._bytes = 0

    def stop(self) -> None:
        self.is_recording = False
        self._changes = []
        self._bytes = 0

    def append(self, changes: Sequence[Change]) -> None:
        self._changes.extend(changes)
        self._bytes += sum(len(change.kv_bytes) for change in changes)
        if self._bytes > BACKLOG_BYTES_MAX or len(self._changes) > BACKLOG_CHANGES_MAX:
            self._drop_older_half()

    def holds(self, revision: int) -> bool:
        return self.is_recording and revision >= self.first_revision

    def read(self, first: int, last: int) -> list[Change]:
        """Return the changes of revisions first..last; `holds(first)` was asked before."""
        start = bisect_left(self._changes, first, key=_revision_of)
        stop = bisect_right(self._changes, last, key=_revision_of)
        return self._changes[start:stop]

    def _drop_older_half(self) -> None:
        middle = self._changes[len(self._changes) // 2].revision
        keep_from = bisect_right(self._changes, middle, key=_revision_of)
        self._changes = self._changes[keep_from:]
        self._bytes = sum(len(change.kv_bytes) for change in self._changes)
        self.first_revision = middle + 1
