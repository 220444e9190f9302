"""What --strict-reconfig-check counts."""

from __future__ import annotations

import pytest

from etcdpy.server.strict_checks import (
    HEALTHY_SECONDS,
    NoConnections,
    count_connected,
    count_if_added,
    count_if_promoted,
    count_if_removed,
    is_connected_for_adding,
    is_connected_for_removing,
    quorum_of,
    voters_of,
)
from etcdpy.state.members import Member


def cluster(started: int, unstarted: int = 0, learners: int = 0) -> list[Member]:
    """Members with ids from 1: first those that have started, last the learners."""
    names = ["x"] * started + [""] * unstarted + ["x"] * learners
    return [
        Member(id=number, peer_urls=(f"http://m:{number}",), name=name, is_learner=number > started + unstarted)
        for number, name in enumerate(names, 1)
    ]


class Since:
    def __init__(self, **since: float) -> None:
        self.since = {int(name[1:]): moment for name, moment in since.items()}

    def active_since(self, member_id: int) -> float | None:
        return self.since.get(member_id)


def test_quorums() -> None:
    assert [quorum_of(total) for total in range(1, 8)] == [1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize(
    ("members", "is_enough"),
    [
        (cluster(1), True),  # how a cluster is restored from one member
        (cluster(1, unstarted=1), False),
        (cluster(2), True),
        (cluster(2, unstarted=1), False),
        (cluster(3), True),
        (cluster(3, unstarted=1), True),
        (cluster(3, unstarted=2), False),
        (cluster(0, unstarted=1), False),
        (cluster(1, learners=5), True),
    ],
)
def test_adding_a_voter(members: list[Member], is_enough: bool) -> None:
    assert count_if_added(members).is_enough is is_enough


@pytest.mark.parametrize(
    ("members", "leaving", "is_enough"),
    [
        (cluster(1), 1, False),
        (cluster(1), 9, True),  # a stranger: apply refuses that
        (cluster(2), 1, True),
        (cluster(1, unstarted=1), 2, True),
        (cluster(1, unstarted=1), 1, False),
        (cluster(2, unstarted=1), 1, False),
        (cluster(2, unstarted=1), 3, True),
        (cluster(1, learners=1), 1, False),
    ],
)
def test_removing_a_voter(members: list[Member], leaving: int, is_enough: bool) -> None:
    assert count_if_removed(members, leaving).is_enough is is_enough


@pytest.mark.parametrize(
    ("members", "is_enough"),
    [(cluster(1, learners=1), True), (cluster(1, unstarted=1, learners=1), True), (cluster(1, 3, 1), False)],
)
def test_promoting_a_learner(members: list[Member], is_enough: bool) -> None:
    assert count_if_promoted(members).is_enough is is_enough


def test_connections_count_when_they_have_lasted() -> None:
    members, now = cluster(4), 100.0
    connections = Since(m2=now - HEALTHY_SECONDS - 0.1, m3=now - HEALTHY_SECONDS, m9=0.0)

    assert count_connected(members, self_id=1, connections=connections, now=now) == 2  # ourselves and member 2
    assert count_connected(members, self_id=1, connections=NoConnections(), now=now) == 1


def test_who_is_connected_must_stay_a_quorum() -> None:
    """Since 3.5.30 one of four may be down when a fifth comes."""
    adding = [(total, connected) for total in (1, 2, 3, 4, 5) for connected in range(1, total + 1)]
    allowed = [case for case in adding if is_connected_for_adding(cluster(case[0]), case[1])]
    assert allowed == [(1, 1), (2, 2), (3, 3), (4, 3), (4, 4), (5, 4), (5, 5)]

    removing = [case for case in adding if is_connected_for_removing(cluster(case[0]), case[1])]
    assert removing == [(2, 2), (3, 3), (4, 3), (4, 4), (5, 4), (5, 5)]


def test_learners_do_not_vote() -> None:
    assert [member.id for member in voters_of(cluster(1, 1, 2))] == [1, 2]
