"""Conf changes in their two encodings."""

from __future__ import annotations

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, ENTRY_CONF_CHANGE_V2, Entry
from etcdpy.raft.change_codec import decode_change, decode_entry, describe_pb, encode_entry
from etcdpy.raft.confchange import ADD_LEARNER_NODE, ADD_NODE

V1 = raft_pb2.ConfChange(id=7, type=raft_pb2.ConfChangeAddNode, node_id=3, context=b"who")
ADD = raft_pb2.ConfChangeSingle(type=raft_pb2.ConfChangeAddNode, node_id=3)
LEARN = raft_pb2.ConfChangeSingle(type=raft_pb2.ConfChangeAddLearnerNode, node_id=4)


def test_v1_is_a_simple_change_of_one() -> None:
    entry = encode_entry(V1)
    change = decode_entry(entry)

    assert entry.type == ENTRY_CONF_CHANGE
    assert change.changes == [(ADD_NODE, 3)]
    assert not change.enters_joint()
    assert not change.leaves_joint()


@pytest.mark.parametrize(
    ("change", "enters", "leaves", "automatically"),
    [
        (raft_pb2.ConfChangeV2(changes=[ADD]), False, False, True),
        (raft_pb2.ConfChangeV2(changes=[ADD, LEARN]), True, False, True),
        (
            raft_pb2.ConfChangeV2(transition=raft_pb2.ConfChangeTransitionJointImplicit, changes=[ADD]),
            True,
            False,
            True,
        ),
        (
            raft_pb2.ConfChangeV2(transition=raft_pb2.ConfChangeTransitionJointExplicit, changes=[ADD]),
            True,
            False,
            False,
        ),
        (raft_pb2.ConfChangeV2(context=b"why"), False, True, True),
    ],
)
def test_v2(change: raft_pb2.ConfChangeV2, enters: bool, leaves: bool, automatically: bool) -> None:
    entry = encode_entry(change)
    decoded = decode_change(entry)

    assert entry.type == ENTRY_CONF_CHANGE_V2
    assert (decoded.enters_joint(), decoded.leaves_joint()) == (enters, leaves)
    assert decoded.leaves_automatically() == automatically


def test_an_entry_is_proposed_as_it_is() -> None:
    entry = Entry(type=ENTRY_CONF_CHANGE_V2, request="waiter")

    assert encode_entry(entry) is entry
    assert decode_entry(entry).leaves_joint()


def test_other_entries_are_no_changes() -> None:
    with pytest.raises(InvariantError, match="no conf change"):
        decode_entry(Entry(data=b"x"))


def test_text() -> None:
    assert describe_pb(V1) == 'type:ConfChangeAddNode node_id:3 context:"who" id:7'
    assert (
        describe_pb(raft_pb2.ConfChangeV2(transition=raft_pb2.ConfChangeTransitionAuto, changes=[LEARN], context=b"c"))
        == 'transition:ConfChangeTransitionAuto changes:{type:ConfChangeAddLearnerNode node_id:4} context:"c"'
    )
    assert decode_change(raft_pb2.ConfChangeV2(changes=[LEARN])).changes == [(ADD_LEARNER_NODE, 4)]
