"""Heartbeats: the commit index that they tell, and the reads that they carry."""

from __future__ import annotations

from etcdpy.raft.constants import MSG_HEARTBEAT
from tests.unit.raft.network import Network


def test_nobody_is_told_more_than_it_surely_holds() -> None:
    network = Network(3)
    leader = network.elect(1)
    network.cut = {3}
    network.propose(1, b"a")
    network.settle()
    network.messages.clear()

    leader.node.tick()
    leader.take_ready()

    beats = [message for message in network.messages if message.type == MSG_HEARTBEAT]
    assert {message.to: message.commit for message in beats} == {2: 3, 3: 2}


def test_each_beat_carries_the_newest_read() -> None:
    network = Network(3)
    leader = network.elect(1)
    network.cut = {2, 3}
    leader.node.read_index(b"one")
    leader.node.read_index(b"two")
    network.settle()

    leader.node.tick()
    leader.take_ready()

    assert [message.context for message in network.messages] == [b"two"] * 2
    # The lost confirmations are made good by it.
    network.cut = set()
    network.settle()
    assert [state.context for state in leader.reads] == [b"one", b"two"]
