"""Virtual time: events in order, and processes that die or stand still."""

from __future__ import annotations

from etcdpy.sim.clock import ProcessKilled, ProcessLoop, Schedule


def make_loop(schedule: Schedule, *, rate: float = 1.0) -> tuple[ProcessLoop, list[str]]:
    seen: list[str] = []
    return ProcessLoop(schedule, rate=rate, on_killed=lambda: seen.append("killed")), seen


def test_events_happen_by_time_and_then_in_the_order_of_asking() -> None:
    schedule, seen = Schedule(), list[str]()
    schedule.call_later(2.0, seen.append, "late")
    schedule.call_later(1.0, seen.append, "first")
    schedule.call_later(1.0, seen.append, "second")
    schedule.call_later(1.5, seen.append, "never").cancel()

    assert not schedule.run_until(1.7)
    assert seen == ["first", "second"] and schedule.now == 1.7 and schedule.number == 2
    assert schedule.step() and seen[-1] == "late" and not schedule.step()


def test_a_run_stops_when_told() -> None:
    schedule, seen = Schedule(), list[int]()
    for number in range(5):
        schedule.call_later(number, seen.append, number)

    assert schedule.run_until(10.0, lambda: len(seen) == 3)
    assert schedule.now == 2.0


def test_a_paused_process_does_later_what_it_missed_in_order() -> None:
    schedule = Schedule()
    loop, seen = make_loop(schedule)
    loop.call_later(1.0, seen.append, "a")
    loop.call_later(2.0, seen.append, "b")
    loop.pause()
    schedule.run_until(5.0)
    assert seen == [] and not loop.is_running

    loop.resume()
    schedule.run_until(5.0)
    assert seen == ["a", "b"] and loop.is_running


def test_a_dead_process_does_nothing_more() -> None:
    schedule = Schedule()
    loop, seen = make_loop(schedule)
    loop.call_soon(seen.append, "a")
    loop.kill()
    schedule.run_until(1.0)
    assert seen == [] and not loop.is_running


def test_code_that_dies_is_told_of() -> None:
    schedule = Schedule()
    loop, seen = make_loop(schedule)

    def die() -> None:
        raise ProcessKilled

    loop.call_soon(die)
    schedule.run_until(1.0)
    assert seen == ["killed"]


def test_a_fast_clock_runs_ahead_and_its_timers_end_early() -> None:
    schedule = Schedule()
    loop, seen = make_loop(schedule, rate=2.0)
    loop.call_later(1.0, seen.append, "a")
    schedule.run_until(0.5)
    assert seen == ["a"] and loop.time() == 1.0
