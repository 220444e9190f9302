"""How fast expired leases may be revoked, and that nobody loses time when deadlines are spread."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from etcdpy.state.lease.expiry import (
    CHECK_INTERVAL_SECONDS,
    DEADLINES_PER_SECOND_MAX,
    REVOKES_IN_FLIGHT_MAX,
    REVOKES_PER_CHECK_MAX,
    RevokePacer,
    spread_deadlines,
)
from etcdpy.state.lease.lease import Lease


class Source:
    """Leases that are all expired."""

    def __init__(self, count: int) -> None:
        self.is_primary = True
        self.asked: list[float] = []
        self._left = list(range(1, count + 1))

    def may_have_expired(self, now: float) -> bool:
        return bool(self._left)

    def expired(self, now: float, limit: int) -> list[int]:
        self.asked.append(now)
        taken, self._left = self._left[:limit], self._left[limit:]
        return taken


def test_at_most_sixteen_in_flight() -> None:
    pacer = RevokePacer(Source(40))
    first = pacer.take_due(0.0)
    assert len(first) == REVOKES_IN_FLIGHT_MAX
    assert pacer.take_due(0.1) == []
    pacer.finish(first[0])
    pacer.finish(first[1])
    assert pacer.take_due(0.1) == [17, 18]


def test_at_most_a_thousand_a_second() -> None:
    source = Source(5000)
    pacer = RevokePacer(source)
    proposed = 0
    now = 0.0
    while now < 2.0:
        for lease_id in pacer.take_due(now):
            proposed += 1
            pacer.finish(lease_id)
        now += 0.001
    assert proposed <= 4 * REVOKES_PER_CHECK_MAX
    assert proposed >= 3 * REVOKES_PER_CHECK_MAX
    assert min(b - a for a, b in zip(source.asked, source.asked[1:], strict=False)) >= CHECK_INTERVAL_SECONDS


def test_whether_it_is_worth_asking() -> None:
    source = Source(40)
    pacer = RevokePacer(source)
    assert pacer.is_due(0.0)
    pacer.take_due(0.0)
    assert pacer.is_due(0.1), "24 wait for a place"
    for lease_id in range(1, 41):
        pacer.finish(lease_id)
        pacer.take_due(0.1)
    assert not pacer.is_due(10.0), "nothing has expired"
    assert RevokePacer(Source(1)).is_due(0.0)
    source = Source(1)
    source.is_primary = False
    assert not RevokePacer(source).is_due(0.0)


def test_nothing_is_proposed_by_who_does_not_lead() -> None:
    source = Source(40)
    pacer = RevokePacer(source)
    pacer.take_due(0.0)
    source.is_primary = False
    pacer.finish(1)
    assert pacer.take_due(1.0) == []
    source.is_primary = True
    assert pacer.take_due(1.1) == []  # what waited belonged to another term


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([5.0, 5.3, 6.0, 60.0]), min_size=700, max_size=1600))
def test_deadlines_are_spread_and_never_earlier(deadlines: list[float]) -> None:
    leases = []
    for number, deadline in enumerate(deadlines):
        lease = Lease(number, 10)
        lease.deadline = deadline
        leases.append(lease)
    spread_deadlines(leases)

    assert all(lease.deadline >= deadlines[lease.lease_id] for lease in leases)
    moments = sorted(lease.deadline for lease in leases)
    for early, late in zip(moments, moments[DEADLINES_PER_SECOND_MAX:], strict=False):
        assert late - early >= 1.0 - 1e-9
