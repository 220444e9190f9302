"""What gathers between two readings is bounded, and is read once."""

from __future__ import annotations

from etcdpy.transport.peer.counters import OBSERVATIONS_MAX, Counters


def test_observations_are_taken_once_and_the_oldest_go() -> None:
    counters = Counters()
    for number in range(OBSERVATIONS_MAX + 3):
        counters.round_trips.add(1, float(number))

    taken = counters.round_trips.take()
    assert len(taken) == OBSERVATIONS_MAX and taken[0] == (1, 3.0)
    assert counters.round_trips.take() == []


def test_a_member_that_nothing_is_known_of_counts_zero() -> None:
    assert Counters().sent_bytes[5] == 0
