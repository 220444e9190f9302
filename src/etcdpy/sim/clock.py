"""Virtual time: one queue of events for the whole world, and a loop for each process that hangs on it.

    Schedule      (time, number) -> what happens then; time passes by taking the next event, never by waiting
    ProcessLoop   the part of asyncio's loop that a member uses; dies with its process, stands still while it pauses

Rules
  * Events of one time happen in the order in which they were asked for: the same run every time.
  * A dead process's events never happen. A paused one's wait until it goes on, and then keep their order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any


class ProcessKilled(BaseException):
    """The process dies right here, in the middle of what it does. No `except Exception` keeps it alive."""


class Event:
    """Something to happen; `cancel` as with asyncio's handles."""

    __slots__ = ("time", "number", "callback", "args", "is_cancelled")

    def __init__(self, time: float, number: int, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.time = time
        self.number = number
        self.callback = callback
        self.args = args
        self.is_cancelled = False

    def __lt__(self, other: Event) -> bool:
        return (self.time, self.number) < (other.time, other.number)

    def cancel(self) -> None:
        self.is_cancelled = True


class Schedule:
    """See the top of the file. `number` counts events that happened: the clock of histories."""

    def __init__(self) -> None:
        self.now = 0.0
        self.number = 0
        self._events: list[Event] = []
        self._asked = 0

    def call_at(self, time: float, callback: Callable[..., object], *args: Any) -> Event:
        self._asked += 1
        event = Event(max(time, self.now), self._asked, callback, args)
        heapq.heappush(self._events, event)
        return event

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Event:
        return self.call_at(self.now + delay, callback, *args)

    def step(self) -> bool:
        """Let the next event happen; return False when there is none."""
        if not self._drop_cancelled():
            return False
        event = heapq.heappop(self._events)
        self.now = event.time
        self.number += 1
        event.callback(*event.args)
        return True

    def _drop_cancelled(self) -> bool:
        """Return whether an event is left, the first of them not cancelled."""
        while self._events and self._events[0].is_cancelled:
            heapq.heappop(self._events)
        return bool(self._events)

    def run_until(self, time: float, stop: Callable[[], bool] | None = None) -> bool:
        """Let events happen up to `time`, or until `stop` says so; return whether it did."""
        while self._drop_cancelled() and self._events[0].time <= time:
            self.step()
            if stop is not None and stop():
                return True
        self.now = max(self.now, time)
        return False


class ProcessLoop:
    """One process's view of time. `on_killed` is told when its code dies by ProcessKilled."""

    def __init__(self, schedule: Schedule, *, rate: float, on_killed: Callable[[], None]) -> None:
        self._schedule = schedule
        self._rate = rate  # of its clock: above 1 it is fast
        self._on_killed = on_killed
        self._is_dead = False
        self._is_paused = False
        self._deferred: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    @property
    def is_running(self) -> bool:
        return not (self._is_dead or self._is_paused)

    def time(self) -> float:
        return self._schedule.now * self._rate

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Event:
        return self._schedule.call_later(0.0, self.enter, callback, *args)

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Event:
        return self._schedule.call_later(delay / self._rate, self.enter, callback, *args)

    def create_future(self) -> Any:
        """Nobody in the simulator awaits: see `Service.call`, which is not used here."""
        raise AssertionError("a simulated member has no tasks")

    def enter(self, callback: Callable[..., object], *args: Any) -> None:
        """Run `callback` in the process: now, later if it is paused, never if it is dead."""
        if self._is_dead:
            return
        if self._is_paused:
            self._deferred.append((callback, args))
            return
        try:
            callback(*args)
        except ProcessKilled:
            self._on_killed()

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        """Go on: what came meanwhile happens now, in order."""
        self._is_paused = False
        deferred, self._deferred = self._deferred, []
        for callback, args in deferred:
            self._schedule.call_later(0.0, self.enter, callback, *args)

    def kill(self) -> None:
        self._is_dead = True
        self._deferred = []
