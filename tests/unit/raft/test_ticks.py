"""What time does."""

from __future__ import annotations

from etcdpy.raft.constants import FOLLOWER, MSG_HEARTBEAT, PRE_CANDIDATE
from tests.unit.raft.network import Network


def test_a_follower_campaigns_when_its_own_time_is_up() -> None:
    network = Network(3)
    peer = network.peers[1]
    timeout = peer.node.raft.randomized_election_timeout
    assert 10 <= timeout < 20

    for _ in range(timeout - 1):
        peer.node.tick()
    assert peer.node.basic_status().role == FOLLOWER
    peer.node.tick()

    assert peer.node.basic_status().role == PRE_CANDIDATE


def test_time_outs_differ() -> None:
    network = Network(3, seed=5)
    peer = network.peers[1]
    drawn = set()
    for _ in range(200):
        peer.node.raft.reset_randomized_election_timeout()
        drawn.add(peer.node.raft.randomized_election_timeout)

    assert drawn == set(range(10, 20))


def test_a_leader_beats_every_tick_and_nobody_campaigns() -> None:
    network = Network(3)
    leader = network.elect(1)
    leader.node.tick()
    leader.take_ready()

    assert [message.type for message in network.messages] == [MSG_HEARTBEAT] * 2
    network.tick(100)
    assert network.leaders() == [1]
    assert leader.node.basic_status().term == 1


def test_a_leader_that_hears_nobody_steps_down_within_two_time_outs() -> None:
    network = Network(3)
    leader = network.elect(1)
    network.cut = {2, 3}

    for _ in range(20):
        leader.node.tick()
    leader.take_ready()

    assert leader.node.basic_status().role == FOLLOWER


def test_a_learner_never_campaigns() -> None:
    network = Network(1, learners=1)
    for _ in range(100):
        network.peers[2].node.tick()

    assert network.peers[2].node.basic_status().role == FOLLOWER
