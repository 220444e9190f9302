"""A status is a copy: what happens later does not change it."""

from __future__ import annotations

from tests.unit.raft.network import Network


def test_a_leaders_status() -> None:
    network = Network(3)
    leader = network.elect(1)
    status = leader.node.status()
    network.propose(1, b"a")
    network.settle()

    assert (status.id, status.role_name, status.commit, status.is_learner) == (1, "StateLeader", 2, False)
    assert {member: progress.match for member, progress in status.progress.items()} == {1: 2, 2: 2, 3: 2}
    assert str(status.membership) == "voters=(1 2 3)"
    assert leader.node.status().commit == 3


def test_a_follower_knows_no_progress() -> None:
    network = Network(2, learners=1)
    network.elect(1)

    assert network.peers[2].node.status().progress == {}
    assert network.peers[3].node.basic_status().is_learner
