"""Catching up: streams that lag because their reader is slow, and watchers that begin in the past.

    level  --outbox full, or transport blocked-->  lagging (cursor)  --has been told of everything-->  level
    created with an old revision, or late  -->  UNSYNCED (cursor)  --read up to now, stream level-->  ATTACHED

Work is done in bounded steps. A step takes the stream at the head of its queue together with others that stand at the
same revision, and the watcher at the head of its queue together with others inside the stretch of history that is read
for it. Both queues go round, so nobody starves behind a busier neighbour; and since the head always moves forward,
everybody arrives.

Nothing is read beyond the hub's revision: what the store knows above it comes with the next notify.

Upstream: watchableStore.syncWatchers, syncVictimsLoop (512 watchers and 1,000 revisions a round).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import Final

from etcdpy.state.mvcc.change import Change
from etcdpy.state.watch.backlog import Backlog
from etcdpy.state.watch.delivery import OUTBOX_BYTES_HIGH, OUTBOX_BYTES_MAX, Delivery
from etcdpy.state.watch.event import ChangeSource, Event, Unit
from etcdpy.state.watch.interest import InterestIndex
from etcdpy.state.watch.range_tree import OPEN_END
from etcdpy.state.watch.response import CANCELED, encode_compact_revision
from etcdpy.state.watch.watcher import ATTACHED, GONE, UNSYNCED, Stream, Watcher

# Upstream's numbers for one round.
SYNC_WATCHERS_MAX: Final = 512
SYNC_REVISIONS_MAX: Final = 1000
# What one step may put into outboxes altogether, so that it takes milliseconds.
STEP_BYTES_MAX: Final = 16 << 20
# A stretch of history is cut here, at a revision; one revision is always taken.
READ_BYTES_MAX: Final = 4 << 20
READ_CHANGES_MAX: Final = 1000
# The first read is a short one: it shows how large the changes are.
FIRST_READ_CHANGES: Final = 64
# Even a thousand watchers on one stream get this much of changes at once.
PART_BYTES_MIN: Final = 4096


class KeyOrder:
    """Changes by key, to pick those of a key or range without asking each of them."""

    __slots__ = ("_changes", "_order", "_keys", "_events")

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = changes
        self._order = sorted(range(len(changes)), key=lambda index: changes[index].key)
        self._keys = [changes[index].key for index in self._order]
        self._events: list[Event | None] = [None] * len(changes)

    def select(self, key: bytes, range_end: bytes | None, first_revision: int) -> list[Event]:
        """Return the events of the range from `first_revision` on, in order."""
        keys = self._keys
        start = bisect_left(keys, key)
        if range_end is None:
            stop = bisect_left(keys, key + b"\0", start)
        else:
            stop = len(keys) if range_end == OPEN_END else bisect_left(keys, range_end, start)
        return [
            self._events[index] or self._make(index)
            for index in sorted(self._order[start:stop])
            if self._changes[index].revision >= first_revision
        ]

    def _make(self, index: int) -> Event:
        event = self._events[index] = Event(self._changes[index])
        return event


def cut_at_revision(changes: Sequence[Change], start: int, bytes_max: int) -> int:
    """Return where a part of whole revisions ends that begins at `start` and has `bytes_max`, or one revision."""
    size = 0
    boundary = start
    revision = changes[start].revision
    for index in range(start, len(changes)):
        change = changes[index]
        if change.revision != revision:
            boundary, revision = index, change.revision
        size += len(change.kv_bytes)
        if size > bytes_max and boundary > start:
            return boundary
    return len(changes)


class CatchUp:
    """The queues of those who are behind."""

    def __init__(self, index: InterestIndex, delivery: Delivery, source: ChangeSource) -> None:
        self._index = index
        self._delivery = delivery
        self._source = source
        self._backlog = Backlog()  # Invariant: recording if and only if some stream lags.
        self._lagging_count = 0
        self._streams: deque[Stream] = deque()  # Invariant: exactly those with is_queued.
        self._watchers: deque[Watcher] = deque()  # Invariant: each at most once; some may be GONE.
        self._read_changes = FIRST_READ_CHANGES
        self.widest = 1  # the most watchers that a stream has, or had lately
        self.compacted_count = 0  # watchers canceled because their history is gone, since the hub last looked

    @property
    def has_work(self) -> bool:
        return bool(self._streams or self._watchers)

    @property
    def lagging_count(self) -> int:
        return self._lagging_count

    @property
    def part_bytes_max(self) -> int:
        """How much of changes a stream may be told of at once, its widest bucket considered."""
        return max(OUTBOX_BYTES_MAX // self.widest, PART_BYTES_MIN)

    # -- entering and leaving

    def add(self, watcher: Watcher, cursor: int) -> None:
        """`watcher` is to be told of everything from `cursor` on."""
        watcher.cursor = cursor
        if watcher.state != UNSYNCED:
            watcher.state = UNSYNCED
            watcher.stream.unsynced_count += 1
        self._watchers.append(watcher)

    def record(self, changes: Sequence[Change]) -> None:
        if self._backlog.is_recording:
            self._backlog.append(changes)

    def skip(self) -> None:
        """Revisions up to the hub's went by unrecorded, because nobody watched."""
        if self._backlog.is_recording:
            self._backlog.start(self._delivery.revision + 1)

    def lag(self, stream: Stream, cursor: int, not_recorded: Sequence[Change]) -> None:
        """From `cursor` on, `stream` is told nothing until it is taken up here."""
        if not stream.is_lagging:
            stream.is_lagging = True
            stream.cursor = cursor
            self._lagging_count += 1
            if not self._backlog.is_recording:
                self._backlog.start(cursor)
                self._backlog.append(not_recorded)
        self._enqueue(stream)

    def block(self, stream: Stream) -> None:
        stream.is_blocked = True
        self.lag(stream, self._delivery.revision + 1, ())

    def unblock(self, stream: Stream) -> None:
        stream.is_blocked = False
        self._enqueue(stream)
        self._requeue_waiting(stream)

    def forget(self, stream: Stream) -> None:
        """The stream was closed."""
        stream.is_blocked = False
        if stream.is_lagging:
            self._make_level(stream)

    def start_over(self, streams: Sequence[Stream]) -> None:
        """The store was replaced: forget who stood where. Only streams that cannot be written to still lag."""
        self._backlog.stop()
        self._watchers.clear()
        self._lagging_count = 0
        for stream in streams:
            stream.waiting = []
            stream.is_lagging = False
            if stream.is_blocked:
                self.block(stream)

    def _enqueue(self, stream: Stream) -> None:
        if stream.is_lagging and not stream.is_blocked and not stream.is_queued:
            stream.is_queued = True
            self._streams.append(stream)

    def _make_level(self, stream: Stream) -> None:
        stream.is_lagging = False
        self._lagging_count -= 1
        if not self._lagging_count:
            self._backlog.stop()
        self._requeue_waiting(stream)

    def _requeue_waiting(self, stream: Stream) -> None:
        waiting, stream.waiting = stream.waiting, []
        self._watchers.extend(waiting)

    # -- streams

    def step_streams(self) -> None:
        """Take the first stream in the queue, and those at the same revision, a stretch forward."""
        cohort: dict[Stream, None] = {}
        cursor = 0
        for _ in range(min(len(self._streams), SYNC_WATCHERS_MAX)):
            stream = self._streams.popleft()
            stream.is_queued = False
            if stream.is_closed or not stream.is_lagging or stream.is_blocked:
                continue
            if stream.cursor > self._delivery.revision:
                self._make_level(stream)
            elif stream.outbox_bytes >= OUTBOX_BYTES_HIGH or (cohort and stream.cursor != cursor):
                self._enqueue(stream)
            else:
                cursor = stream.cursor
                cohort[stream] = None
        if cohort:
            self._move_streams(cohort, cursor)

    def _move_streams(self, cohort: dict[Stream, None], cursor: int) -> None:
        if not self._backlog.holds(cursor) and cursor < self._source.compact_revision:
            for stream in cohort:
                self._cancel_attached(stream)
                self._make_level(stream)
            return
        changes, last = self._read(cursor, self.part_bytes_max)
        self._delivery.deliver(changes, cohort)
        for stream in cohort:
            stream.cursor = last + 1
            if last == self._delivery.revision:
                self._make_level(stream)
            else:
                self._enqueue(stream)

    def _cancel_attached(self, stream: Stream) -> None:
        for watcher in list(stream.watchers.values()):
            if watcher is not None and watcher.state == ATTACHED:
                self._index.detach(watcher)
                self._cancel_compacted(watcher)

    # -- watchers

    def step_watchers(self) -> None:
        """Take the first watcher in the queue, and others whose cursor lies in the stretch read for it, forward."""
        members: list[Watcher] = []
        changes: Sequence[Change] = ()
        first = last = 0
        for _ in range(min(len(self._watchers), SYNC_WATCHERS_MAX)):
            watcher = self._watchers.popleft()
            if not self._is_ready(watcher):
                continue
            if not members:
                first = watcher.cursor
                changes, last = self._read(first, READ_BYTES_MAX)
            if first <= watcher.cursor <= last:
                members.append(watcher)
            else:
                self._watchers.append(watcher)
        if members:
            self._move_watchers(members, changes, last)

    def _is_ready(self, watcher: Watcher) -> bool:
        """Return whether the watcher can be told of something now; otherwise it was put where it belongs."""
        stream = watcher.stream
        if watcher.state != UNSYNCED:
            return False
        if stream.is_blocked:
            stream.waiting.append(watcher)
        elif watcher.cursor > self._delivery.revision:
            self._finish(watcher)
        elif watcher.cursor < self._source.compact_revision:
            stream.unsynced_count -= 1
            self._cancel_compacted(watcher)
        elif stream.outbox_bytes >= OUTBOX_BYTES_HIGH:
            self._watchers.append(watcher)
        else:
            return True
        return False

    def _move_watchers(self, members: list[Watcher], changes: Sequence[Change], last: int) -> None:
        by_key = KeyOrder(changes)
        made: dict[tuple[bytes, bytes | None, int, int], list[Unit]] = {}
        put_bytes = 0
        for watcher in members:
            if put_bytes > STEP_BYTES_MAX:
                self._watchers.append(watcher)
                continue
            what = (watcher.key, watcher.range_end, watcher.bits, watcher.cursor)
            units = made.get(what)
            if units is None:
                events = by_key.select(watcher.key, watcher.range_end, watcher.cursor)
                units = made[what] = self._delivery.encode(events, watcher.bits)
            before = watcher.stream.outbox_bytes
            rest = self._delivery.send_to(watcher, units)
            put_bytes += watcher.stream.outbox_bytes - before
            watcher.cursor = last + 1 if rest is None else rest.first_revision
            if watcher.cursor > self._delivery.revision:
                self._finish(watcher)
            else:
                self._watchers.append(watcher)

    def _finish(self, watcher: Watcher) -> None:
        """The watcher knows all that the hub knows: from now on it goes with its stream."""
        stream = watcher.stream
        if stream.is_lagging:
            # The stream's cursor is behind the watcher's: joining now would tell it things twice.
            stream.waiting.append(watcher)
            return
        stream.unsynced_count -= 1
        self._index.attach(watcher)

    def _cancel_compacted(self, watcher: Watcher) -> None:
        # Upstream leaves the revision out of this header, and the id taken until the client cancels it.
        delivery, stream = self._delivery, watcher.stream
        watcher.state = GONE
        stream.watchers[watcher.watch_id] = None
        stream.progress_watchers.pop(watcher.watch_id, None)  # its stream may stay listed: that costs nothing
        self.compacted_count += 1
        compacted = encode_compact_revision(self._source.compact_revision)
        data = delivery.header_without_revision() + watcher.id_field + CANCELED + compacted
        delivery.put(stream, data, len(data))

    # -- history

    def _read(self, first: int, bytes_max: int) -> tuple[list[Change], int]:
        """Return changes from `first` on, and the last revision that they cover."""
        if self._backlog.holds(first):
            last = min(first + SYNC_REVISIONS_MAX - 1, self._delivery.revision)
            changes = self._backlog.read(first, last)
        else:
            end = min(first + SYNC_REVISIONS_MAX, self._delivery.revision + 1)
            found, next_revision = self._source.changes_between(first, end, self._read_changes)
            changes, last = list(found), next_revision - 1
            size = sum(len(change.kv_bytes) for change in changes)
            if size > READ_BYTES_MAX:
                self._read_changes = max(self._read_changes // 2, 1)
            else:
                self._read_changes = min(self._read_changes * 2, READ_CHANGES_MAX)
        if changes:
            stop = cut_at_revision(changes, 0, bytes_max)
            if stop < len(changes):
                last = changes[stop].revision - 1
                changes = changes[:stop]
        return changes, last
