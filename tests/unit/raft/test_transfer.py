"""Handing leadership over."""

from __future__ import annotations

import pytest

from etcdpy.pb.raft_values import Entry
from etcdpy.raft.config import LEASE_BASED
from tests.unit.raft.network import Network


@pytest.mark.parametrize("asked", [1, 2, 3])
def test_it_takes_one_round_wherever_it_is_asked_for(asked: int) -> None:
    network = Network(3)
    network.elect(1)

    network.peers[asked].node.transfer_leader(3)
    network.settle()

    assert network.leaders() == [3]
    assert network.peers[3].node.basic_status().term == 2


def test_a_lagging_successor_is_brought_up_to_date_first() -> None:
    network = Network(3)
    network.elect(1)
    network.cut = {3}
    network.propose(1, b"a")
    network.settle()
    network.cut = set()

    network.peers[1].node.transfer_leader(3)
    network.tick()

    assert network.leaders() == [3]
    assert network.applied[3] == (1, 0, b"a")


def test_no_proposals_meanwhile_and_an_end_of_waiting() -> None:
    network = Network(3)
    leader = network.elect(1)
    network.cut = {3}
    network.tick(2)

    leader.node.transfer_leader(3)
    network.settle()

    assert not network.maybe_propose(1, Entry(data=b"a"))
    assert leader.node.basic_status().transferee == 3
    network.tick(10)
    assert network.leaders() == [1]
    assert network.maybe_propose(1, Entry(data=b"a"))


def test_a_learner_cannot_lead() -> None:
    network = Network(2, learners=1)
    leader = network.elect(1)

    leader.node.transfer_leader(3)

    assert leader.node.basic_status().transferee == 0


def test_nothing_is_forgotten_under_a_lease() -> None:
    network = Network(3, read_only=LEASE_BASED)
    network.elect(1)

    network.peers[2].node.forget_leader()

    assert network.peers[2].node.basic_status().leader_id == 1
