"""Linearizable reads: who confirms them, when, and for whom."""

from __future__ import annotations

from etcdpy.pb.raft_values import Message
from etcdpy.raft.config import LEASE_BASED
from etcdpy.raft.constants import MSG_HEARTBEAT, MSG_HEARTBEAT_RESP, MSG_READ_INDEX_RESP
from tests.unit.raft.network import Network


def reads_of(network: Network, member: int) -> list[tuple[int, bytes]]:
    reads = [(state.index, state.context) for state in network.peers[member].reads]
    network.peers[member].reads.clear()
    return reads


def test_a_quorum_confirms_by_heartbeat() -> None:
    network = Network(3)
    leader = network.elect(1)

    leader.node.read_index(b"one")
    leader.take_ready()

    assert reads_of(network, 1) == []
    assert [(m.type, m.context) for m in network.messages] == [(MSG_HEARTBEAT, b"one")] * 2
    leader.node.step(Message(MSG_HEARTBEAT_RESP, to=1, from_=2, term=1, context=b"one"))
    leader.take_ready()
    assert reads_of(network, 1) == [(2, b"one")]


def test_one_confirmation_serves_all_that_were_asked_for_before() -> None:
    network = Network(3)
    leader = network.elect(1)
    for context in (b"one", b"two", b"three"):
        leader.node.read_index(context)
    leader.take_ready()

    leader.node.step(Message(MSG_HEARTBEAT_RESP, to=1, from_=3, term=1, context=b"two"))
    leader.take_ready()
    assert reads_of(network, 1) == [(2, b"one"), (2, b"two")]

    leader.node.step(Message(MSG_HEARTBEAT_RESP, to=1, from_=3, term=1, context=b"two"))
    leader.take_ready()
    assert reads_of(network, 1) == []


def test_a_leader_that_is_cut_off_confirms_nothing() -> None:
    network = Network(3, check_quorum=False)
    old = network.elect(1)
    network.cut = {1}
    network.elect(2)
    network.propose(2, b"newer")
    network.settle()

    old.node.read_index(b"stale")
    network.settle()

    assert old.is_leader
    assert reads_of(network, 1) == []


def test_a_follower_asks_its_leader() -> None:
    network = Network(3)
    network.elect(1)

    network.peers[2].node.read_index(b"from two")
    network.settle()

    assert reads_of(network, 2) == [(2, b"from two")]
    assert reads_of(network, 1) == []


def test_nothing_is_answered_before_the_terms_first_entry_is_committed() -> None:
    network = Network(3, check_quorum=False)
    network.elect(2)
    leader = network.peers[1]
    leader.node.campaign()
    leader.take_ready()
    while not leader.is_leader:
        for peer in network.peers.values():
            while peer.append_work:
                peer.write()
        messages, network.messages = network.messages, []
        for message in messages:
            network.deliver(message)
    network.messages.clear()

    leader.node.read_index(b"early")
    leader.take_ready()
    assert not any(message.context == b"early" for message in network.messages)

    network.tick(2)
    assert reads_of(network, 1) == [(3, b"early")]


def test_a_lease_answers_at_once() -> None:
    network = Network(3, read_only=LEASE_BASED)
    leader = network.elect(1)
    network.cut = {2, 3}

    leader.node.read_index(b"lease")
    leader.take_ready()

    assert reads_of(network, 1) == [(2, b"lease")]


def test_reads_are_forgotten_with_the_term() -> None:
    network = Network(3, check_quorum=False)
    leader = network.elect(1)
    leader.node.read_index(b"one")
    leader.take_ready()
    network.messages.clear()
    network.elect(2)
    network.elect(1)

    leader.node.step(Message(MSG_HEARTBEAT_RESP, to=1, from_=2, term=3, context=b"one"))
    leader.take_ready()

    assert reads_of(network, 1) == []


def test_a_broken_answer_is_ignored() -> None:
    network = Network(3)
    network.elect(1)
    follower = network.peers[2]

    follower.node.step(Message(MSG_READ_INDEX_RESP, to=2, from_=1, term=1, index=9))
    follower.take_ready()

    assert reads_of(network, 2) == []
