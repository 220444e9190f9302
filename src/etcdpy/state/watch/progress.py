"""Progress: telling watchers up to which revision they know everything, though nothing happened to their keys.

    ask        a client wants to know now: answered once for its whole stream, when all its watchers are synced
    tick       watchers created with progress_notify are told every interval, each for itself, unless events said it

A progress response is written behind all events at or below its revision, never ahead of one (etcd issue 15220).

Upstream: serverWatchStream.sendLoop, watchStream.RequestProgressAll.
"""

from __future__ import annotations

from typing import Final

from etcdpy.base.clock import Random
from etcdpy.state.watch.delivery import Delivery
from etcdpy.state.watch.response import NO_WATCHER_FIELD
from etcdpy.state.watch.watcher import ATTACHED, Stream, Watcher

# Upstream's floor for --experimental-watch-progress-notify-interval.
PROGRESS_INTERVAL_SECONDS_MIN: Final = 0.1
# Streams get their notifications spread by up to a tenth of the interval.
JITTER_STEPS: Final = 1000


class Progress:
    """Who is to be told of progress, and when."""

    def __init__(self, delivery: Delivery, *, interval_seconds: float, random: Random) -> None:
        self._delivery = delivery
        self._interval_seconds = max(interval_seconds, PROGRESS_INTERVAL_SECONDS_MIN)
        self._random = random
        self._asked: dict[Stream, None] = {}  # Invariant: exactly those with is_progress_wanted.
        self._streams: dict[Stream, None] = {}  # Invariant: all with progress_watchers.
        self._next_at = 0.0  # Invariant: no stream's notification is due before this.

    # -- on request

    def ask(self, stream: Stream) -> None:
        stream.is_progress_wanted = True
        self._asked[stream] = None
        self.answer()

    def answer(self) -> None:
        """Answer the requests of streams that are synced. Call it when what is due to level streams was delivered."""
        if not self._asked:
            return
        for stream in list(self._asked):
            if stream.is_synced:
                stream.is_progress_wanted = False
                del self._asked[stream]
                self._write(stream, NO_WATCHER_FIELD)

    # -- periodic

    def add(self, watcher: Watcher) -> None:
        stream = watcher.stream
        stream.progress_watchers[watcher.watch_id] = watcher
        if stream not in self._streams:
            self._streams[stream] = None
            self._next_at = 0.0  # the next tick gives the stream its time

    def remove(self, watcher: Watcher) -> None:
        stream = watcher.stream
        stream.progress_watchers.pop(watcher.watch_id, None)
        if not stream.progress_watchers:
            self._streams.pop(stream, None)
            stream.progress_at = None

    def forget(self, stream: Stream) -> None:
        self._asked.pop(stream, None)
        self._streams.pop(stream, None)

    def tick(self, now: float) -> None:
        """Send the notifications that are due."""
        if not self._streams or now < self._next_at:
            return
        soonest = now + self._interval_seconds
        for stream in self._streams:
            if stream.progress_at is None:
                stream.progress_at = now + self._draw_interval()
            elif now >= stream.progress_at:
                stream.progress_at = now + self._draw_interval()
                self._notify(stream)
            soonest = min(soonest, stream.progress_at)
        self._next_at = soonest

    def _notify(self, stream: Stream) -> None:
        """Tell the watchers that have heard nothing since the last time, and know everything, where they stand."""
        for watcher in stream.progress_watchers.values():
            bucket = watcher.bucket
            had_events = watcher.had_events or (bucket is not None and bucket.had_events)
            watcher.had_events = False
            if watcher.state == ATTACHED and not stream.is_lagging and not had_events:
                self._write(stream, watcher.id_field)
        # Afterwards, because watchers share their bucket.
        for watcher in stream.progress_watchers.values():
            if watcher.bucket is not None:
                watcher.bucket.had_events = False

    def _write(self, stream: Stream, id_field: bytes) -> None:
        data = self._delivery.header() + id_field
        self._delivery.put(stream, data, len(data))

    def _draw_interval(self) -> float:
        return self._interval_seconds * (1 + self._random.randrange(JITTER_STEPS) / (10 * JITTER_STEPS))

    def check_invariants(self, stream: Stream) -> None:
        assert stream.is_progress_wanted == (stream in self._asked)
        assert bool(stream.progress_watchers) <= (stream in self._streams)
