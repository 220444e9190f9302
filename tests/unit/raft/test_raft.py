"""The outbox and the changes of role."""

from __future__ import annotations

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import LEADER, MSG_APP, MSG_APP_RESP, MSG_PROP, MSG_VOTE
from etcdpy.raft.raft import Raft
from tests.unit.raft.network import Network


def leader() -> Raft:
    return Network(3).elect(1).node.raft


def test_what_leaves_is_from_us_and_of_our_term() -> None:
    raft = leader()

    raft.send(Message(MSG_APP, to=2))
    raft.send(Message(MSG_PROP, to=2, from_=3))
    raft.send(Message(MSG_APP_RESP, to=2))

    assert [(message.from_, message.term) for message in raft.messages] == [(1, 1), (3, 0)]
    assert [message.type for message in raft.messages_after_append] == [MSG_APP_RESP]


@pytest.mark.parametrize(
    "wrong", [Message(MSG_VOTE, to=2), Message(MSG_APP, to=2, term=1), Message(MSG_APP, to=1)], ids=str
)
def test_what_may_not_leave(wrong: Message) -> None:
    with pytest.raises(InvariantError):
        leader().send(wrong)


def test_illegal_changes_of_role() -> None:
    raft = leader()
    with pytest.raises(InvariantError):
        raft.become_candidate()
    with pytest.raises(InvariantError):
        raft.become_pre_candidate()
    raft.become_follower(2, 0)
    with pytest.raises(InvariantError):
        raft.become_leader()


def test_broken_nodes_are_found() -> None:
    raft = leader()
    raft.leader_id = 2
    with pytest.raises(InvariantError, match="takes 2 for the leader"):
        raft.check_invariants()
    raft = leader()
    raft.vote = 3
    with pytest.raises(InvariantError, match="having voted for 3"):
        raft.check_invariants()
    raft = leader()
    raft.become_follower(1, 0)
    raft.transferee = 2
    with pytest.raises(InvariantError, match="hands over to 2"):
        raft.check_invariants()
    assert raft.role != LEADER
