"""Time as the two machines of values see it: given to them, never taken."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """What a part of the server may know of time. `embed` gives the real one, `sim` a virtual one."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""

    def wall(self) -> float:
        """Return seconds since the epoch. May jump: never measure a duration with it."""


class Random(Protocol):
    """The random numbers a part may draw; seeded in tests."""

    def randrange(self, stop: int, /) -> int:
        """Return an integer of [0, stop)."""
