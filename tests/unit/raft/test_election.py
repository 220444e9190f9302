"""Votes: given once, to logs that are new enough, and counted right."""

from __future__ import annotations

import pytest

from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import Entry, Message
from etcdpy.raft.constants import (
    CAMPAIGN_TRANSFER_CONTEXT,
    CANDIDATE,
    FOLLOWER,
    LEADER,
    MSG_PRE_VOTE,
    MSG_VOTE,
    MSG_VOTE_RESP,
    PRE_CANDIDATE,
)
from etcdpy.raft.election import has_unapplied_conf_changes
from tests.unit.raft.network import Network, Peer


def ask(peer: Peer, candidate: int, *, term: int, index: int = 1, log_term: int = 1, kind: int = MSG_VOTE) -> bool:
    """Ask for a vote; return whether it is given (None of the tests here has two answers at once)."""
    peer.network.messages.clear()
    peer.node.step(Message(kind, to=peer.id, from_=candidate, term=term, index=index, log_term=log_term))
    peer.take_ready()
    while peer.append_work:
        peer.write()
    [answer] = peer.network.messages
    return not answer.reject


def test_one_vote_a_term() -> None:
    peer = Network(3).peers[1]

    assert ask(peer, 2, term=1)
    assert ask(peer, 2, term=1)
    assert not ask(peer, 3, term=1)
    assert ask(peer, 3, term=2)


def test_the_vote_survives_a_crash() -> None:
    peer = Network(3).peers[1]
    assert ask(peer, 2, term=1)

    peer.start()

    assert not ask(peer, 3, term=1)


def test_a_vote_is_told_only_when_it_is_on_disk() -> None:
    network = Network(3)
    peer = network.peers[1]

    peer.node.step(Message(MSG_VOTE, to=1, from_=2, term=1, index=1, log_term=1))
    peer.take_ready()

    assert network.messages == []
    peer.write()
    assert [message.type for message in network.messages] == [MSG_VOTE_RESP]


@pytest.mark.parametrize(
    ("log_term", "index", "expected"),
    [(1, 5, False), (1, 9, False), (2, 4, False), (2, 5, True), (2, 6, True), (3, 1, True)],
)
def test_only_logs_at_least_as_new_get_it(log_term: int, index: int, expected: bool) -> None:
    network = Network(3, check_quorum=False)
    peer = network.peers[1]
    peer.storage.append([Entry(1, 2), Entry(1, 3), Entry(2, 4), Entry(2, 5)])
    peer.start()

    assert ask(peer, 2, term=9, index=index, log_term=log_term) == expected


def test_a_pre_vote_changes_nothing() -> None:
    network = Network(3, check_quorum=False)
    network.elect(1)
    peer = network.peers[2]
    before = peer.node.basic_status()

    assert ask(peer, 3, term=2, index=2, kind=MSG_PRE_VOTE)

    after = peer.node.basic_status()
    assert (after.term, after.vote, after.leader_id) == (before.term, before.vote, before.leader_id)


def test_a_lease_ignores_everybody_but_the_leaders_own_choice() -> None:
    network = Network(3)
    network.elect(1)
    peer = network.peers[2]
    network.messages.clear()

    peer.node.step(Message(MSG_VOTE, to=2, from_=3, term=2, index=9, log_term=1))
    peer.take_ready()
    assert (network.messages, peer.node.basic_status().term) == ([], 1)

    peer.node.step(Message(MSG_VOTE, to=2, from_=3, term=2, index=9, log_term=1, context=CAMPAIGN_TRANSFER_CONTEXT))
    assert peer.node.basic_status().term == 2


def test_a_candidate_needs_a_majority_and_gives_up_when_it_is_out_of_reach() -> None:
    network = Network(5, pre_vote=False)
    peer = network.peers[1]
    peer.node.campaign()
    peer.take_ready()
    peer.write()
    assert peer.node.basic_status().role == CANDIDATE

    for voter, reject in ((2, True), (3, False), (3, True), (4, True)):
        peer.node.step(Message(MSG_VOTE_RESP, to=1, from_=voter, term=1, reject=reject))
        assert peer.node.basic_status().role == CANDIDATE
    peer.node.step(Message(MSG_VOTE_RESP, to=1, from_=5, term=1, reject=True))

    assert (peer.node.basic_status().role, peer.node.basic_status().term) == (FOLLOWER, 1)


def test_pre_votes_come_before_votes() -> None:
    network = Network(3)
    peer = network.peers[1]
    peer.node.campaign()
    peer.take_ready()

    assert (peer.node.basic_status().role, peer.node.basic_status().term) == (PRE_CANDIDATE, 0)
    network.settle()
    assert (peer.node.basic_status().role, peer.node.basic_status().term) == (LEADER, 1)


def test_nobody_campaigns_before_a_committed_conf_change_is_applied() -> None:
    network = Network(2, check_quorum=False)
    network.elect(1)
    network.peers[1].node.propose_conf_change(raft_pb2.ConfChange(type=raft_pb2.ConfChangeAddLearnerNode, node_id=9))
    follower = network.peers[2]
    network.peers[1].take_ready()
    while not follower.apply_work:
        messages, network.messages = network.messages, []
        for message in messages:
            network.deliver(message)
        for peer in network.peers.values():
            while peer.append_work:
                peer.write()

    assert has_unapplied_conf_changes(follower.node.raft)
    follower.node.campaign()
    assert follower.node.basic_status().role == FOLLOWER
    follower.apply()
    follower.node.campaign()
    assert follower.node.basic_status().role == PRE_CANDIDATE
