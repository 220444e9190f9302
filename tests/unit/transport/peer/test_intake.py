"""Which messages raft may be given; test_network.py shows the same over the wire."""

from __future__ import annotations

import json

import pytest

from etcdpy.pb.raft_values import Entry, Message, Snapshot
from etcdpy.raft.constants import LOCAL_MESSAGES, LOCAL_THREADS, MSG_APP, MSG_HEARTBEAT, MSG_SNAP
from etcdpy.transport.peer.intake import NOT_OURS, REMOVED, is_well_formed, name_of


def test_refusals_are_worded_as_etcd_words_them() -> None:
    assert (REMOVED.status, NOT_OURS.status) == (403, 403)
    assert REMOVED.body() == b'{"message":"cannot process message from removed member"}'
    assert json.loads(NOT_OURS.body()) == {"message": "cannot process message to mismatch member"}


@pytest.mark.parametrize("kind", sorted(LOCAL_MESSAGES))
def test_local_kinds_never_cross_the_network(kind: int) -> None:
    assert not is_well_formed(Message(kind, 1, 2, 3))


@pytest.mark.parametrize("thread", LOCAL_THREADS)
def test_nobody_out_there_is_a_storage_thread(thread: int) -> None:
    assert not is_well_formed(Message(MSG_HEARTBEAT, 1, thread, 3))


@pytest.mark.parametrize(
    ("message", "is_good"),
    [
        (Message(MSG_APP, 1, 2, 5, 3, 7, [Entry(3, 8), Entry(5, 9)]), True),
        (Message(MSG_APP, 1, 2, 5, 3, 7), True),
        (Message(MSG_APP, 1, 2, 5, 3, 7, [Entry(3, 8), Entry(3, 10)]), False),
        (Message(MSG_APP, 1, 2, 5, 3, 7, [Entry(3, 7)]), False),
        (Message(MSG_APP, 1, 2, 5, 3, 7, [Entry(4, 8), Entry(3, 9)]), False),
        (Message(MSG_APP, 1, 2, 5, 3, 7, [Entry(6, 8)]), False),
        (Message(MSG_SNAP, 1, 2, 5, snapshot=Snapshot(b"", 7, 5)), True),
        (Message(MSG_SNAP, 1, 2, 5, snapshot=Snapshot(b"", 0, 0)), False),
        (Message(MSG_SNAP, 1, 2, 5), False),
    ],
)
def test_shape(message: Message, is_good: bool) -> None:
    assert is_well_formed(message) == is_good


def test_unknown_kinds_have_a_name_for_the_log() -> None:
    assert name_of(Message(MSG_APP)) == "MsgApp" and name_of(Message(99)) == "99"
