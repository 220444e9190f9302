"""When which revision is compacted to: schedules written out as tables of (time, revision) and what is asked for."""

from __future__ import annotations

import pytest

from etcdpy.server.compactor import (
    REVISION_INTERVAL_SECONDS,
    Compactor,
    PeriodicCompactor,
    RevisionCompactor,
    make_compactor,
)

MINUTE = 60.0


def run_periodic(compactor: Compactor, period: float, until: float) -> list[tuple[float, int]]:
    """Poll once per sample, one revision more each time; return (minute, revision) of each compaction."""
    found = []
    now, revision = 0.0, 100
    while now <= until:
        wanted = compactor.poll(now, revision)
        if wanted is not None:
            found.append((now / MINUTE, wanted))
            compactor.on_compacted(wanted, now)
        now, revision = compactor.next_poll_at, revision + 1
    return found


def test_periodic_waits_one_period_and_then_keeps_one_period() -> None:
    """5 minutes: samples every 30 s; from minute 5 on every 5 minutes, to the revision of 5 minutes ago."""
    found = run_periodic(PeriodicCompactor(5 * MINUTE, 0.0), 5 * MINUTE, 16 * MINUTE)

    assert found == [(5.0, 100), (10.0, 109), (15.0, 119)]


def test_long_periods_are_compacted_every_hour() -> None:
    """5 hours: samples every 6 minutes, first after 5 h, then each hour."""
    found = run_periodic(PeriodicCompactor(300 * MINUTE, 0.0), 300 * MINUTE, 430 * MINUTE)

    assert found == [(300.0, 100), (360.0, 109), (420.0, 119)]


def test_polls_that_come_late_do_not_lengthen_the_period() -> None:
    compactor = PeriodicCompactor(10.0, 0.0)
    asked = []
    now = 0.0
    for revision in range(1, 25):
        wanted = compactor.poll(now, revision)
        if wanted is not None:
            asked.append(round(now, 2))
            compactor.on_compacted(wanted, now)
        now += 1.01

    assert asked == [10.1, 20.2]


def test_nothing_new_is_not_compacted_again() -> None:
    compactor = PeriodicCompactor(10.0, 0.0)
    asked = [compactor.poll(float(second), 7) for second in range(11)]
    assert asked == [None] * 10 + [7]
    compactor.on_compacted(7, 10.0)

    assert [compactor.poll(float(second), 7) for second in range(11, 40)] == [None] * 29


def test_a_failure_is_tried_again_at_the_next_sample() -> None:
    compactor = PeriodicCompactor(10.0, 0.0)
    for second in range(10):
        compactor.poll(float(second), 5 + second)
    assert compactor.poll(10.0, 20) == 5
    compactor.on_failed()

    assert compactor.poll(11.0, 21) == 5


def test_who_does_not_lead_notes_but_does_not_ask() -> None:
    compactor = PeriodicCompactor(10.0, 0.0)
    compactor.pause()
    assert [compactor.poll(float(second), 5 + second) for second in range(15)] == [None] * 15
    compactor.resume()

    assert compactor.poll(15.0, 20) == 9


def test_revision_looks_every_five_minutes_and_keeps_n() -> None:
    compactor = RevisionCompactor(100, 0.0)

    assert compactor.poll(REVISION_INTERVAL_SECONDS - 1, 1000) is None
    assert compactor.poll(REVISION_INTERVAL_SECONDS, 1000) == 900
    compactor.on_compacted(900, REVISION_INTERVAL_SECONDS)
    assert compactor.poll(2 * REVISION_INTERVAL_SECONDS, 1000) is None
    assert compactor.poll(3 * REVISION_INTERVAL_SECONDS, 1001) == 901
    compactor.on_failed()
    assert compactor.poll(4 * REVISION_INTERVAL_SECONDS, 1001) == 901


def test_revision_with_little_history_or_without_lead_does_nothing() -> None:
    compactor = RevisionCompactor(100, 0.0)
    assert compactor.poll(REVISION_INTERVAL_SECONDS, 100) is None
    compactor.pause()
    assert compactor.poll(2 * REVISION_INTERVAL_SECONDS, 1000) is None
    compactor.resume()
    assert compactor.poll(3 * REVISION_INTERVAL_SECONDS, 1000) == 900


@pytest.mark.parametrize(
    ("period", "revisions", "kind"),
    [(0.0, 0, type(None)), (1.0, 0, PeriodicCompactor), (0.0, 1, RevisionCompactor), (-1.0, 0, type(None))],
)
def test_settings_choose_the_compactor(period: float, revisions: int, kind: type) -> None:
    assert isinstance(make_compactor(period_seconds=period, revisions=revisions, now=0.0), kind)
