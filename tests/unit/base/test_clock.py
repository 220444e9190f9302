"""Time and chance come from outside: the interpreter's own fit the interfaces, and so does a test's."""

from __future__ import annotations

import random
import time

from etcdpy.base.clock import Clock, Random


class RealClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


class StoppedClock:
    def monotonic(self) -> float:
        return 1.0

    def wall(self) -> float:
        return 2.0


def elapsed_since(clock: Clock, start: float) -> float:
    return clock.monotonic() - start


def draw(source: Random) -> list[int]:
    return [source.randrange(10) for _ in range(20)]


def test_any_clock_with_both_faces_will_do() -> None:
    clock = RealClock()

    assert elapsed_since(clock, clock.monotonic()) >= 0
    assert elapsed_since(StoppedClock(), 1.0) == 0


def test_a_seeded_source_repeats_itself() -> None:
    assert draw(random.Random(7)) == draw(random.Random(7))
    assert set(draw(random.Random(7))) <= set(range(10))
