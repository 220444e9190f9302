"""What the term of a message does, and what is ignored."""

from __future__ import annotations

import pytest

from etcdpy.pb.raft_values import Entry, Message
from etcdpy.raft.constants import (
    FOLLOWER,
    LEADER,
    LOCAL_APPEND_THREAD,
    MSG_APP,
    MSG_APP_RESP,
    MSG_FORGET_LEADER,
    MSG_HEARTBEAT,
    MSG_PRE_VOTE,
    MSG_PRE_VOTE_RESP,
    MSG_PROP,
    MSG_STORAGE_APPEND_RESP,
    MSG_TIMEOUT_NOW,
    MSG_VOTE,
)
from etcdpy.raft.errors import ProposalDropped
from tests.unit.raft.network import Network


def test_a_newer_term_makes_a_follower() -> None:
    network = Network(3, check_quorum=False)
    leader = network.elect(1)

    leader.node.step(Message(MSG_APP, to=1, from_=3, term=5, index=2, log_term=1))

    status = leader.node.basic_status()
    assert (status.role, status.term, status.leader_id) == (FOLLOWER, 5, 3)


def test_a_leader_of_an_old_term_learns_that_it_is_deposed() -> None:
    network = Network(3)
    network.elect(1)
    follower = network.peers[3]
    follower.node.step(Message(MSG_HEARTBEAT, to=3, from_=1, term=4))
    follower.take_ready()
    while follower.append_work:
        follower.write()
    network.messages.clear()

    follower.node.step(Message(MSG_HEARTBEAT, to=3, from_=1, term=1))
    follower.take_ready()
    while follower.append_work:
        follower.write()

    [answer] = network.messages
    assert (answer.type, answer.term, answer.to) == (MSG_APP_RESP, 4, 1)


def test_an_old_pre_vote_is_refused_with_our_term() -> None:
    network = Network(3, check_quorum=False)
    network.elect(1)
    follower = network.peers[2]
    follower.node.step(Message(MSG_HEARTBEAT, to=2, from_=1, term=4))
    follower.take_ready()
    while follower.append_work:
        follower.write()
    network.messages.clear()

    follower.node.step(Message(MSG_PRE_VOTE, to=2, from_=3, term=2, index=9, log_term=1))
    follower.take_ready()
    while follower.append_work:
        follower.write()

    [answer] = network.messages
    assert (answer.type, answer.term, answer.reject) == (MSG_PRE_VOTE_RESP, 4, True)


def test_other_old_messages_are_ignored() -> None:
    network = Network(3, check_quorum=False)
    network.elect(1)
    follower = network.peers[2]
    follower.node.step(Message(MSG_HEARTBEAT, to=2, from_=1, term=4))
    follower.take_ready()
    while follower.append_work:
        follower.write()
    network.messages.clear()

    follower.node.step(Message(MSG_VOTE, to=2, from_=3, term=2, index=9, log_term=9))
    follower.take_ready()

    assert (network.messages, follower.append_work) == ([], [])


def test_a_write_of_an_old_term_proves_nothing_about_its_entries() -> None:
    """The same (index, term) may have been overwritten and written again, with the second write still on its way."""
    network = Network(3, check_quorum=False)
    follower = network.peers[2]
    follower.node.step(Message(MSG_APP, to=2, from_=1, term=1, index=1, log_term=1, entries=[Entry(1, 2)]))
    follower.take_ready()
    follower.node.step(Message(MSG_HEARTBEAT, to=2, from_=3, term=2))
    follower.take_ready()

    follower.node.step(Message(MSG_STORAGE_APPEND_RESP, to=2, from_=LOCAL_APPEND_THREAD, term=1, index=2, log_term=1))

    assert [entry.index for entry in follower.node.raft.log.unstable.tail] == [2]
    # A later write of this term does.
    while follower.append_work:
        follower.write()
    assert follower.node.raft.log.unstable.tail == []


def test_a_follower_passes_proposals_on() -> None:
    network = Network(3)
    network.elect(1)
    network.propose(2, b"via two")
    network.settle()

    assert network.applied[3] == (1, 0, b"via two")


def test_passing_on_can_be_forbidden() -> None:
    network = Network(3, disable_proposal_forwarding=True)
    network.elect(1)

    with pytest.raises(ProposalDropped):
        network.propose(2, b"via two")


def test_a_proposal_of_somebody_else_cannot_depose_anybody() -> None:
    """It carries no term."""
    network = Network(3)
    leader = network.elect(1)

    leader.node.step(Message(MSG_PROP, to=1, from_=3, entries=[Entry(data=b"x")]))

    assert leader.node.basic_status().role == LEADER


def test_who_campaigns_ignores_the_leaders_order_to_campaign() -> None:
    network = Network(3)
    peer = network.peers[1]
    peer.node.campaign()
    before = peer.node.basic_status().term

    peer.node.step(Message(MSG_TIMEOUT_NOW, to=1, from_=2, term=before))

    assert peer.node.basic_status().term == before


def test_forgetting_the_leader() -> None:
    network = Network(3)
    network.elect(1)
    network.peers[1].node.step(Message(MSG_FORGET_LEADER))
    network.peers[2].node.forget_leader()

    assert network.peers[1].is_leader
    assert network.peers[2].node.basic_status().leader_id == 0
    network.tick()
    assert network.peers[2].node.basic_status().leader_id == 1
