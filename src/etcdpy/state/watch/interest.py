"""Who is attached to which keys: the index that a change is looked up in.

    exact[key]   ----+
                     +-->  Interest  --bits-->  Variant  --stream-->  Bucket: id fields of its watchers
    ranges.stab(key) +     (a key or range)     (filters ...)

One response body is made per interest and variant. It goes to a bucket as a whole: the bucket keeps the id fields of
its watchers in runs of equal length, so that all messages of a run have one size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from etcdpy.state.mvcc.change import Change
from etcdpy.state.watch.event import Event
from etcdpy.state.watch.range_tree import RangeTree
from etcdpy.state.watch.watcher import ATTACHED, Stream, Watcher

# Look-ups in the tree that are remembered until the ranges change. Hot keys then cost one dict look-up.
STAB_CACHE_ENTRIES_MAX: Final = 4096


class Bucket:
    """The watchers of one stream that want exactly the same."""

    __slots__ = ("stream", "watchers", "had_events", "known_runs")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.watchers: dict[int, Watcher] = {}
        self.had_events = False  # since the stream's last progress tick
        self.known_runs: list[list[bytes]] | None = None  # None: to be made anew by runs()

    def runs(self) -> list[list[bytes]]:
        """Return the id fields, those of equal length together. The lists are never changed later."""
        runs = self.known_runs
        if runs is None:
            by_length: dict[int, list[bytes]] = {}
            for watcher in self.watchers.values():
                by_length.setdefault(len(watcher.id_field), []).append(watcher.id_field)
            runs = self.known_runs = list(by_length.values())
        return runs

    def add(self, watcher: Watcher) -> None:
        self.watchers[watcher.watch_id] = watcher
        self.known_runs = None

    def remove(self, watcher: Watcher) -> None:
        del self.watchers[watcher.watch_id]
        self.known_runs = None


class Interest:
    """A key, or a range of keys, that somebody watches."""

    __slots__ = ("key", "range_end", "variants")

    def __init__(self, key: bytes, range_end: bytes | None) -> None:
        self.key = key
        self.range_end = range_end
        self.variants: dict[int, dict[Stream, Bucket]] = {}  # by the watchers' bits


class InterestIndex:
    """All interests of attached watchers."""

    __slots__ = ("_exact", "_by_range", "_tree", "_stabbed")

    def __init__(self) -> None:
        self._exact: dict[bytes, Interest] = {}
        self._by_range: dict[tuple[bytes, bytes], Interest] = {}
        self._tree: RangeTree[Interest] = RangeTree()  # Invariant: the interests of _by_range.
        self._stabbed: dict[bytes, list[Interest]] = {}  # Invariant: what _tree.stab would return.

    def attach(self, watcher: Watcher) -> None:
        interest = self._find(watcher) or self._add(watcher)
        buckets = interest.variants.setdefault(watcher.bits, {})
        bucket = buckets.get(watcher.stream)
        if bucket is None:
            bucket = buckets[watcher.stream] = Bucket(watcher.stream)
        bucket.add(watcher)
        watcher.bucket = bucket
        watcher.state = ATTACHED

    def detach(self, watcher: Watcher) -> None:
        """Take an attached watcher out; the caller gives it its next state."""
        bucket = watcher.bucket
        assert bucket is not None
        watcher.bucket = None
        bucket.remove(watcher)
        if bucket.watchers:
            return
        interest = self._find(watcher)
        assert interest is not None
        buckets = interest.variants[watcher.bits]
        del buckets[watcher.stream]
        if buckets:
            return
        del interest.variants[watcher.bits]
        if not interest.variants:
            self._drop(interest)

    def match(self, changes: Sequence[Change]) -> dict[Interest, list[Event]]:
        """Return, for every interest that is touched, its events in order."""
        matched: dict[Interest, list[Event]] = {}
        exact = self._exact
        has_ranges = bool(self._by_range)
        stabbed = self._stabbed
        for change in changes:
            key = change.key
            event = None
            interest = exact.get(key)
            if interest is not None:
                event = Event(change)
                events = matched.get(interest)
                if events is None:
                    matched[interest] = [event]
                else:
                    events.append(event)
            if not has_ranges:
                continue
            interests = stabbed.get(key)
            if interests is None:
                interests = self._stab(key)
            if not interests:
                continue
            if event is None:
                event = Event(change)
            for interest in interests:
                events = matched.get(interest)
                if events is None:
                    matched[interest] = [event]
                else:
                    events.append(event)
        return matched

    def _stab(self, key: bytes) -> list[Interest]:
        if len(self._stabbed) >= STAB_CACHE_ENTRIES_MAX:
            self._stabbed.clear()
        found = self._stabbed[key] = self._tree.stab(key)
        return found

    def _find(self, watcher: Watcher) -> Interest | None:
        if watcher.range_end is None:
            return self._exact.get(watcher.key)
        return self._by_range.get((watcher.key, watcher.range_end))

    def _add(self, watcher: Watcher) -> Interest:
        interest = Interest(watcher.key, watcher.range_end)
        if interest.range_end is None:
            self._exact[interest.key] = interest
        else:
            self._by_range[(interest.key, interest.range_end)] = interest
            self._tree.insert(interest.key, interest.range_end, interest)
            self._stabbed.clear()
        return interest

    def _drop(self, interest: Interest) -> None:
        if interest.range_end is None:
            del self._exact[interest.key]
        else:
            del self._by_range[(interest.key, interest.range_end)]
            self._tree.remove(interest.key, interest.range_end)
            self._stabbed.clear()

    def check_invariants(self) -> None:
        self._tree.check_invariants()
        assert len(self._tree) == len(self._by_range)
        for (start, end), interest in self._by_range.items():
            assert (interest.key, interest.range_end) == (start, end)
        for interest in (*self._exact.values(), *self._by_range.values()):
            assert interest.variants
            for bits, buckets in interest.variants.items():
                assert buckets
                for stream, bucket in buckets.items():
                    assert bucket.watchers and bucket.stream is stream
                    for watcher in bucket.watchers.values():
                        assert watcher.state == ATTACHED and watcher.bucket is bucket and watcher.bits == bits
