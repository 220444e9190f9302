"""The node as the server drives it: single voter, synchronous and asynchronous writes, restarts."""

from __future__ import annotations

import random

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ConfState, Entry, HardState, Message, Snapshot
from etcdpy.raft.config import Config
from etcdpy.raft.constants import (
    LEADER,
    LOCAL_APPEND_THREAD,
    LOCAL_APPLY_THREAD,
    MSG_APP_RESP,
    MSG_HUP,
    MSG_STORAGE_APPEND,
    MSG_STORAGE_APPLY,
)
from etcdpy.raft.errors import ProposalDropped, StepLocalMessage, StepPeerNotFound
from etcdpy.raft.rawnode import RawNode
from etcdpy.raft.storage import MemoryStorage


class Single:
    """One voter whose disk and state machine do everything at once."""

    def __init__(
        self,
        storage: MemoryStorage | None = None,
        is_async: bool = True,
        applied: int = 0,
        write_bare_commits: bool = True,
    ) -> None:
        if storage is None:
            storage = MemoryStorage()
            storage.apply_snapshot(Snapshot(b"", 1, 1, ConfState([1])))
        self.storage = storage
        self.is_async = is_async
        self.node = RawNode(
            Config(
                1,
                election_tick=10,
                heartbeat_tick=1,
                storage=storage,
                rng=random.Random(1),
                applied=applied,
                async_storage_writes=is_async,
                write_bare_commits=write_bare_commits,
            )
        )
        self.applied: list[Entry] = []
        self.reads: list[tuple[int, bytes]] = []
        self.synced: list[bool] = []

    def settle(self) -> None:
        while self.node.has_ready():
            ready = self.node.ready()
            self.reads.extend((state.index, state.context) for state in ready.read_states)
            self.synced.append(ready.must_sync)
            if self.is_async:
                for message in ready.messages:
                    self._do(message)
            else:
                if ready.hard_state is not None:
                    self.storage.set_hard_state(ready.hard_state)
                self.storage.append(ready.entries)
                self.applied.extend(ready.committed_entries)
                self.node.advance()
            self.node.check_invariants()

    def _do(self, message: Message) -> None:
        if message.to == LOCAL_APPEND_THREAD:
            assert message.type == MSG_STORAGE_APPEND
            if message.term or message.vote or message.commit:
                self.storage.set_hard_state(HardState(message.term, message.vote, message.commit))
            self.storage.append(message.entries)
        else:
            assert (message.to, message.type) == (LOCAL_APPLY_THREAD, MSG_STORAGE_APPLY)
            self.applied.extend(message.entries)
        for response in message.responses:
            self.node.step(response)

    def lead(self) -> None:
        self.node.campaign()
        self.settle()
        assert self.node.basic_status().role == LEADER


@pytest.mark.parametrize("is_async", [True, False])
def test_a_single_voter_elects_itself_and_commits(is_async: bool) -> None:
    single = Single(is_async=is_async)
    single.lead()

    single.node.propose_entries([Entry(data=b"a"), Entry(data=b"b")])
    single.settle()

    status = single.node.basic_status()
    assert [(entry.term, entry.index, entry.data) for entry in single.applied] == [
        (1, 2, b""),
        (1, 3, b"a"),
        (1, 4, b"b"),
    ]
    assert (status.term, status.vote, status.commit, status.applied, status.leader_id) == (1, 1, 4, 4, 1)
    assert (status.role_name, status.last_index, status.hard_state) == ("StateLeader", 4, HardState(1, 1, 4))
    assert single.storage.initial_state()[0] == HardState(1, 1, 4)


def test_entries_come_out_as_the_objects_that_went_in() -> None:
    single = Single()
    single.lead()
    given = [Entry(data=b"%d" % number, request=object()) for number in range(1000)]

    single.node.propose_entries(list(given))
    single.settle()

    assert all(one is other for one, other in zip(given, single.applied[1:], strict=True))


def test_a_write_of_the_commit_index_alone_need_not_be_synced() -> None:
    single = Single()
    single.lead()
    single.synced.clear()

    single.node.propose(b"a")
    single.settle()

    assert single.synced == [True, False]


def test_time_alone_elects_a_single_voter() -> None:
    single = Single()
    for _ in range(20):
        single.node.tick()
    single.settle()

    assert single.node.basic_status().role == LEADER


def test_a_follower_without_leader_drops_proposals() -> None:
    with pytest.raises(ProposalDropped, match="raft proposal dropped"):
        Single().node.propose(b"a")
    with pytest.raises(InvariantError):
        Single().node.propose_entries([])


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("write_bare_commits", [True, False])
def test_a_commit_index_alone_is_written_or_waits_for_the_next_write(is_async: bool, write_bare_commits: bool) -> None:
    single = Single(is_async=is_async, write_bare_commits=write_bare_commits)
    single.lead()
    node = single.node
    node.propose_entries([Entry(data=b"a")])
    single.settle()

    written = single.storage.initial_state()[0]
    assert node.basic_status().commit == 3
    assert written == HardState(1, 1, 3 if write_bare_commits else 2)

    node.propose_entries([Entry(data=b"b")])
    assert node.ready().hard_state == (None if write_bare_commits else HardState(1, 1, 3))


def test_a_vote_is_written_even_if_bare_commits_are_not() -> None:
    single = Single(write_bare_commits=False)
    single.node.campaign()

    ready = single.node.ready()  # what becomes of the pre-vote
    for message in ready.messages:
        single._do(message)
    ready = single.node.ready()

    assert ready.hard_state == HardState(1, 1, 1) and ready.must_sync


def test_a_read_is_answered_at_once_by_a_single_voter() -> None:
    single = Single()
    single.lead()

    single.node.read_index(b"context")

    assert single.node.has_ready()
    single.settle()
    assert single.reads == [(2, b"context")]


def test_after_a_restart_a_read_waits_for_an_entry_of_the_new_term() -> None:
    """The last run may have acknowledged entry 3, and its commit index need not be on disk."""
    storage = MemoryStorage()
    storage.apply_snapshot(Snapshot(b"", 1, 1, ConfState([1])))
    storage.append([Entry(1, 2), Entry(1, 3, data=b"acknowledged")])
    storage.set_hard_state(HardState(1, 1, 1))
    single = Single(storage)
    single.node.campaign()
    while single.node.basic_status().role != LEADER:
        for message in single.node.ready().messages:
            single._do(message)

    single.node.read_index(b"context")
    ready = single.node.ready()
    assert ready.read_states == []

    for message in ready.messages:
        single._do(message)
    single.settle()
    assert single.reads == [(4, b"context")]


def test_a_restart_goes_on_behind_what_is_applied() -> None:
    first = Single()
    first.lead()
    first.node.propose_entries([Entry(data=b"a"), Entry(data=b"b")])
    first.settle()

    second = Single(first.storage, applied=3)
    second.lead()

    assert [entry.index for entry in second.applied] == [4, 5]
    assert second.node.basic_status().term == 2


def test_what_is_applied_counts_as_committed_even_if_the_hard_state_is_older() -> None:
    first = Single()
    first.lead()
    first.storage.set_hard_state(HardState(1, 1, 0))

    second = Single(first.storage, applied=2)

    assert second.node.basic_status().commit == 2


def test_a_hard_state_beyond_the_log_is_a_lost_log() -> None:
    storage = MemoryStorage()
    storage.set_hard_state(HardState(1, 1, 5))

    with pytest.raises(InvariantError, match=r"state.commit 5 is out of range \[0, 0\]"):
        Single(storage)


def test_bootstrap_writes_a_conf_change_for_each_member() -> None:
    single = Single(MemoryStorage())
    single.node.bootstrap([(1, b"one")])

    ready = single.node.ready()

    assert ready.hard_state == HardState(1, 0, 1)
    [entry] = ready.entries
    change = raft_pb2.ConfChange.FromString(entry.data)
    assert (entry.term, entry.index, change.node_id, change.context) == (1, 1, 1, b"one")
    # As Go writes it: id, type and node id are there though they are zero.
    assert entry.data == b"\x08\x00\x10\x00\x18\x01\x22\x03one"
    for message in ready.messages:
        single._do(message)
    single.settle()
    [applied] = single.applied
    assert single.node.apply_conf_change(applied).voters == [1]
    single.lead()
    with pytest.raises(InvariantError, match="bootstrap"):
        single.node.bootstrap([(1, b"")])
    with pytest.raises(ValueError, match="at least one peer"):
        Single(MemoryStorage()).node.bootstrap([])


def test_conf_changes_in_every_form() -> None:
    single = Single()
    single.lead()
    add = raft_pb2.ConfChange(type=raft_pb2.ConfChangeAddLearnerNode, node_id=2)
    for change in (
        add,
        raft_pb2.ConfChangeV2(changes=[raft_pb2.ConfChangeSingle(type=raft_pb2.ConfChangeRemoveNode, node_id=2)]),
        Entry(type=1, data=add.SerializeToString(), request="waiter"),
    ):
        single.node.propose_conf_change(change)
        while single.node.has_ready():
            for message in single.node.ready().messages:
                if message.to == LOCAL_APPLY_THREAD:
                    state = single.node.apply_conf_change(message.entries[-1])
                if message.to in (LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD):
                    single._do(message)

    assert state == ConfState([1], [2])
    assert single.applied[-1].request == "waiter"


def test_messages_that_nobody_may_send_us() -> None:
    node = Single().node

    with pytest.raises(StepLocalMessage):
        node.step(Message(MSG_HUP, from_=2))
    with pytest.raises(StepPeerNotFound):
        node.step(Message(MSG_APP_RESP, from_=2, term=1))


def test_synchronous_readies_are_taken_one_at_a_time() -> None:
    single = Single(is_async=False)
    single.node.campaign()
    single.node.ready()

    with pytest.raises(InvariantError, match="advance"):
        single.node.ready()
    with pytest.raises(InvariantError, match="synchronous"):
        Single().node.advance()


def test_asynchronous_writes_overlap() -> None:
    """A second Ready comes before the first write is done; nothing is applied before it is on disk."""
    single = Single()
    single.lead()
    single.node.propose(b"a")
    first = single.node.ready()
    single.node.propose(b"b")
    second = single.node.ready()

    assert [entry.data for entry in first.entries] == [b"a"]
    assert [entry.data for entry in second.entries] == [b"b"]
    assert not single.node.has_ready()
    single._do(first.messages[0])
    third = single.node.ready()
    assert [entry.data for entry in third.committed_entries] == [b"a"]
    single._do(second.messages[0])
    fourth = single.node.ready()
    assert [entry.data for entry in fourth.committed_entries] == [b"b"]


def test_compaction_of_a_long_log() -> None:
    single = Single()
    single.lead()
    for _ in range(20):
        single.node.propose_entries([Entry(data=b"x") for _ in range(500)])
        single.settle()
        single.storage.compact(single.node.basic_status().applied - 100)

    single.storage.check_invariants()
    assert single.storage.last_index() - single.storage.first_index() == 99
    assert len(single.applied) == 10_001
