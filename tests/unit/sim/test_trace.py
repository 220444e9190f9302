"""A trace is lines in fixed columns, and one hash."""

from __future__ import annotations

from etcdpy.sim.clock import Schedule
from etcdpy.sim.trace import Trace


def test_columns_and_counts() -> None:
    schedule = Schedule()
    trace = Trace(schedule)
    trace.add(3, "crash", "power")
    schedule.run_until(1.5)
    trace.add(0, "heal")

    assert trace.lines() == ["       0.000  3 crash     power", "    1500.000  - heal      "]
    assert trace.lines(1) == trace.lines()[1:]
    assert trace.counts == {"crash": 1, "heal": 1}


def test_the_digest_tells_traces_apart() -> None:
    first, second = Trace(Schedule()), Trace(Schedule())
    first.add(1, "crash")
    second.add(1, "crash")
    assert first.digest() == second.digest()
    second.add(2, "crash")
    assert first.digest() != second.digest()
