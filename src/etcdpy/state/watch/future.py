"""Watchers that begin at a revision which does not exist yet, by that revision."""

from __future__ import annotations

from sortedcontainers import SortedDict

from etcdpy.state.watch.watcher import FUTURE, GONE, Watcher


class FutureWatchers:
    """Who waits for which revision. Those waiting count as not synced: a bookmark would mean nothing to them."""

    __slots__ = ("_by_revision",)

    def __init__(self) -> None:
        self._by_revision: SortedDict = SortedDict()  # start revision -> {watcher: None}

    def __bool__(self) -> bool:
        return bool(self._by_revision)

    def add(self, watcher: Watcher, revision: int) -> None:
        watcher.cursor = revision
        watcher.state = FUTURE
        watcher.stream.unsynced_count += 1
        self._by_revision.setdefault(revision, {})[watcher] = None

    def remove(self, watcher: Watcher) -> None:
        """Take a waiting watcher out; the caller gives it its next state."""
        waiting = self._by_revision[watcher.cursor]
        del waiting[watcher]
        if not waiting:
            del self._by_revision[watcher.cursor]
        watcher.stream.unsynced_count -= 1

    def take_started(self, revision: int) -> list[Watcher]:
        """Take out, in order, those whose time has come now that `revision` exists."""
        started: list[Watcher] = []
        while self._by_revision and self._by_revision.peekitem(0)[0] <= revision:
            started += self._by_revision.popitem(0)[1]
        for watcher in started:
            watcher.stream.unsynced_count -= 1
            watcher.state = GONE
        return started

    def clear(self) -> None:
        self._by_revision.clear()

    def holds(self, watcher: Watcher) -> bool:
        return watcher in self._by_revision.get(watcher.cursor, ())
