"""The writes and applies that a node hands out, and the responses that they carry."""

from __future__ import annotations

from etcdpy.pb.raft_values import Entry, Message, Snapshot
from etcdpy.raft.constants import (
    LOCAL_APPEND_THREAD,
    LOCAL_APPLY_THREAD,
    MSG_APP_RESP,
    MSG_STORAGE_APPEND_RESP,
    MSG_STORAGE_APPLY_RESP,
)
from etcdpy.raft.raft import Raft
from etcdpy.raft.ready import Ready, make_append, make_apply
from tests.unit.raft.network import Network


def quiet_follower() -> Raft:
    return Network(3).peers[1].node.raft


def test_nothing_to_write() -> None:
    assert make_append(quiet_follower(), Ready()) is None


def test_a_write_carries_promises_first_and_its_own_end_last() -> None:
    raft = quiet_follower()
    promise = Message(MSG_APP_RESP, to=2)
    raft.messages_after_append.append(promise)
    ready = Ready()
    ready.entries = [Entry(1, 2)]
    raft.log.append(ready.entries)

    write = make_append(raft, ready)

    assert write is not None
    assert (write.to, write.entries, write.term) == (LOCAL_APPEND_THREAD, ready.entries, 0)
    assert write.responses[0] is promise
    last = write.responses[1]
    assert (last.type, last.to, last.index, last.log_term) == (MSG_STORAGE_APPEND_RESP, 1, 2, 1)


def test_a_write_of_the_hard_state() -> None:
    raft = quiet_follower()
    ready = Ready()
    ready.hard_state = raft.hard_state()

    write = make_append(raft, ready)

    assert write is not None
    assert (write.term, write.vote, write.commit, write.responses) == (0, 0, 1, [])


def test_a_snapshot_comes_back_in_the_response() -> None:
    raft = quiet_follower()
    ready = Ready()
    ready.snapshot = Snapshot(b"", 9, 3)

    write = make_append(raft, ready)

    assert write is not None
    assert write.snapshot is ready.snapshot
    assert [response.snapshot for response in write.responses] == [ready.snapshot]


def test_an_apply_reports_its_entries() -> None:
    entries = [Entry(1, 2)]

    work = make_apply(quiet_follower(), entries)

    assert (work.to, work.entries) == (LOCAL_APPLY_THREAD, entries)
    [response] = work.responses
    assert (response.type, response.to, response.entries) == (MSG_STORAGE_APPLY_RESP, 1, entries)
