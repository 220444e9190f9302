"""Texts of raft's values that no scenario shows."""

from __future__ import annotations

from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ConfState, Entry, HardState, Message, Snapshot
from etcdpy.raft.change_codec import encode_entry
from etcdpy.raft.constants import LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, MSG_APP, MSG_READ_INDEX
from etcdpy.raft.describe import (
    describe_change,
    describe_conf_state,
    describe_entry,
    describe_hard_state,
    describe_member,
    describe_message,
    describe_ready,
    describe_snapshot,
)
from etcdpy.raft.read_only import ReadState
from etcdpy.raft.ready import Ready


def test_members() -> None:
    texts = [describe_member(member) for member in (0, 1, 0xABCDEF, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD)]

    assert texts == ["None", "1", "abcdef", "AppendThread", "ApplyThread"]


def test_entries() -> None:
    change = raft_pb2.ConfChange(type=raft_pb2.ConfChangeUpdateNode, node_id=3)

    assert describe_entry(Entry(2, 9, data=b"\x00a")) == '2/9 EntryNormal "\\x00a"'
    assert describe_entry(encode_entry(change)) == "0/0 EntryConfChange u3"
    assert describe_change((9, 3)) == "unknown3"


def test_states() -> None:
    conf_state = ConfState([1, 2], [3], [1], [4], True)

    assert describe_hard_state(HardState(3, 0, 5)) == "Term:3 Commit:5"
    assert describe_hard_state(HardState(3, 2, 5)) == "Term:3 Vote:2 Commit:5"
    text = "Voters:[1 2] VotersOutgoing:[1] Learners:[3] LearnersNext:[4] AutoLeave:true"
    assert describe_conf_state(conf_state) == text
    assert describe_snapshot(Snapshot(b"", 4, 3, conf_state)) == "Index:4 Term:3 ConfState:" + text


def test_messages_within_messages_are_indented() -> None:
    inner = Message(MSG_READ_INDEX, to=1, from_=2, entries=[Entry(1, 1), Entry(1, 2)])
    outer = Message(MSG_APP, to=2, from_=1, responses=[inner])

    assert describe_message(outer, "  ").split("\n") == [
        "  1->2 MsgApp Term:0 Log:0/0 Responses:[",
        "    2->1 MsgReadIndex Term:0 Log:0/0 Entries:[",
        '      1/1 EntryNormal ""',
        '      1/2 EntryNormal ""',
        "    ]",
        "  ]",
    ]


def test_a_ready_with_reads() -> None:
    ready = Ready()
    ready.read_states = [ReadState(5, b"\x01\x02"), ReadState(6, b"")]

    assert describe_ready(ready) == "Ready MustSync=false:\nReadStates [{5 [1 2]} {6 []}]\n"
    assert describe_ready(Ready()) == "<empty Ready>"
