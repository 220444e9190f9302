"""The member as a machine of values: what it hands out, in which order, and what it refuses to believe."""

from __future__ import annotations

import random

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, ConfState, Entry, HardState, Message, Snapshot
from etcdpy.raft.config import SILENT, Config, SilentLogger
from etcdpy.raft.constants import (
    MSG_APP,
    MSG_APP_RESP,
    MSG_HEARTBEAT,
    MSG_PRE_VOTE_RESP,
    MSG_SNAP,
    MSG_VOTE,
    MSG_VOTE_RESP,
)
from etcdpy.raft.errors import ProposalDropped
from etcdpy.raft.rawnode import RawNode
from etcdpy.raft.storage import MemoryStorage
from etcdpy.server.effects import Apply, Effects, Write
from etcdpy.server.member import Member

OTHER = 2


class Lines(SilentLogger):
    """Keeps what raft says."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def info(self, text: str, /) -> None:
        self._lines.append(text)


def make_member(voters: tuple[int, ...] = (1,), logger: SilentLogger = SILENT) -> tuple[Member, MemoryStorage]:
    """Member 1 at index 1, term 1, whose log begins with a snapshot that names the voters."""
    storage = MemoryStorage()
    storage.apply_snapshot(Snapshot(b"", 1, 1, ConfState(list(voters))))
    hard_state = HardState(1, 0, 1)
    storage.set_hard_state(hard_state)
    node = RawNode(
        Config(
            id=1,
            election_tick=10,
            heartbeat_tick=1,
            storage=storage,
            rng=random.Random(1),
            applied=1,
            write_bare_commits=False,
            logger=logger,
        )
    )
    return Member(node, storage, hard_state, applied_index=1), storage


def drain(member: Member) -> list[Effects]:
    """Take what there is and do nothing of it."""
    taken = []
    while (effects := member.take_effects()) is not None:
        taken.append(effects)
    return taken


def settle(member: Member) -> list[Effects]:
    """Do everything that the member wants, at once and in order; return it."""
    done = []
    while (effects := member.take_effects()) is not None:
        done.append(effects)
        if effects.write is not None:
            member.persisted(effects.write)
        if effects.apply is not None:
            member.applied(effects.apply)
    return done


def make_leader() -> tuple[Member, MemoryStorage]:
    member, storage = make_member()
    member.campaign()
    settle(member)
    assert member.is_leader
    return member, storage


def writes_of(taken: list[Effects]) -> list[Write]:
    return [effects.write for effects in taken if effects.write is not None]


def applies_of(taken: list[Effects]) -> list[Apply]:
    return [effects.apply for effects in taken if effects.apply is not None]


def test_a_member_with_nothing_to_do_says_so() -> None:
    member, _ = make_member()

    assert member.take_effects() is None
    assert (member.leader_id, member.is_leader, member.term, member.last_index) == (0, False, 1, 1)


def test_alone_it_elects_itself_and_tells_once() -> None:
    member, _ = make_member()
    member.campaign()

    told = [effects.leader_changed for effects in settle(member)]

    assert told.count(True) == 1
    assert (member.leader_id, member.is_leader, member.term) == (1, True, 2)


def test_the_vote_for_itself_is_synced_before_it_leads() -> None:
    member, _ = make_member()
    member.campaign()
    (pre_vote,) = writes_of(drain(member))  # promises nothing, so nothing of it need be on disk
    assert (pre_vote.hard_state, pre_vote.must_sync) == (None, False)
    member.persisted(pre_vote)

    (vote,) = writes_of(drain(member))
    assert (vote.hard_state, vote.must_sync) == (HardState(2, 1, 1), True)
    assert not member.is_leader
    member.persisted(vote)

    assert member.is_leader


def test_without_a_leader_a_proposal_is_dropped_by_name() -> None:
    member, _ = make_member()

    with pytest.raises(ProposalDropped):
        member.propose([Entry(data=b"x")])


def test_a_write_is_handed_out_once_and_in_order() -> None:
    member, _ = make_leader()
    member.propose([Entry(data=b"a"), Entry(data=b"b")])
    first = writes_of(drain(member))
    member.propose([Entry(data=b"c")])
    second = writes_of(drain(member))

    assert [[entry.data for entry in write.entries] for write in first + second] == [[b"a", b"b"], [b"c"]]
    assert [entry.index for write in first + second for entry in write.entries] == [3, 4, 5]
    assert drain(member) == []


def test_only_what_is_persisted_is_handed_out_for_apply() -> None:
    member, storage = make_leader()
    member.propose([Entry(data=b"a")])
    (first,) = writes_of(drain(member))
    member.propose([Entry(data=b"b")])
    (second,) = writes_of(drain(member))
    assert drain(member) == []
    assert storage.last_index() == 2

    member.persisted(first)
    after_first = applies_of(settle(member))
    member.persisted(second)
    after_second = applies_of(settle(member))

    assert [[entry.data for entry in apply.entries] for apply in after_first] == [[b"a"]]
    assert [[entry.data for entry in apply.entries] for apply in after_second] == [[b"b"]]


def test_the_proposed_object_itself_comes_back_for_apply() -> None:
    """What the proposer knows of an entry (`request`) rides on the object."""
    member, _ = make_leader()
    proposed = Entry(data=b"a", request="decoded")
    member.propose([proposed])

    (apply,) = applies_of(settle(member))

    assert apply.entries[0] is proposed


def test_a_mere_commit_is_deferred_and_rides_with_the_next_write() -> None:
    member, _ = make_leader()
    member.propose([Entry(data=b"a")])
    (first,) = writes_of(settle(member))  # the commit of 3, after it, made no write of its own
    assert first.hard_state is not None and first.hard_state.commit == 2
    assert member.committed_index == 3

    member.propose([Entry(data=b"b")])
    (second,) = writes_of(settle(member))

    assert second.hard_state is not None and second.hard_state.commit == 3


def test_a_clean_stop_takes_the_deferred_commit_once() -> None:
    member, _ = make_leader()
    member.propose([Entry(data=b"a")])
    settle(member)

    write = member.take_deferred()

    assert write is not None and write.hard_state == HardState(2, 1, 3)
    assert (write.entries, write.snapshot, write.responses, write.must_sync) == ([], None, [], True)
    assert member.take_deferred() is None


def test_a_deferred_commit_that_rode_along_is_not_taken_again() -> None:
    member, _ = make_leader()
    member.propose([Entry(data=b"a")])
    settle(member)
    member.propose([Entry(data=b"b")])
    drain(member)

    assert member.take_deferred() is None


def test_a_newer_deferred_commit_replaces_the_older() -> None:
    member, _ = make_member((1, OTHER))
    entries = [Entry(2, 2, data=b"a"), Entry(2, 3, data=b"b")]
    member.step(Message(MSG_APP, to=1, from_=OTHER, term=2, log_term=1, index=1, entries=entries, commit=1))
    settle(member)
    for commit in (2, 3):
        member.step(Message(MSG_HEARTBEAT, to=1, from_=OTHER, term=2, commit=commit))
        assert writes_of(settle(member)) == []

    write = member.take_deferred()

    assert write is not None and write.hard_state == HardState(2, 0, 3)


def test_a_granted_vote_leaves_only_with_its_write() -> None:
    """The answer to a candidate is a promise about this disk: it is a response of the write, not a message."""
    member, _ = make_member((1, OTHER))
    member.step(Message(MSG_VOTE, to=1, from_=OTHER, term=2, log_term=1, index=1))

    (effects,) = drain(member)

    assert effects.messages == []
    assert effects.write is not None and effects.write.must_sync
    assert effects.write.hard_state == HardState(2, OTHER, 1)
    assert [response.type for response in effects.write.responses] == [MSG_VOTE_RESP]


def test_a_follower_knows_its_leader_and_says_so_once() -> None:
    member, _ = make_member((1, OTHER))
    changes = []
    for _ in range(2):
        member.step(Message(MSG_HEARTBEAT, to=1, from_=OTHER, term=2, commit=1))
        changes += [effects.leader_changed for effects in settle(member)]

    assert changes.count(True) == 1
    assert (member.leader_id, member.is_leader) == (OTHER, False)


def test_a_received_snapshot_is_part_of_the_log_once_it_is_written() -> None:
    member, storage = make_member((1, OTHER))
    snapshot = Snapshot(b"tree", 9, 2, ConfState([1, OTHER]))
    member.step(Message(MSG_SNAP, to=1, from_=OTHER, term=2, snapshot=snapshot))
    (write,) = writes_of(drain(member))
    assert write.snapshot is snapshot and write.must_sync
    assert storage.last_index() == 1

    member.persisted(write)

    assert (storage.last_index(), storage.snapshot().data) == (9, b"tree")


def test_the_applied_index_moves_by_what_was_applied() -> None:
    member, _ = make_leader()
    member.propose([Entry(data=b"a"), Entry(data=b"b")])
    (write,) = writes_of(drain(member))
    member.persisted(write)
    (apply,) = applies_of(drain(member))
    assert (member.applied_index, member.committed_index) == (2, 4)

    member.applied(apply)

    assert (member.applied_index, member.committed_index) == (4, 4)


def test_the_applied_index_never_goes_back() -> None:
    member, _ = make_leader()
    member.propose([Entry(data=b"a")])
    (apply,) = applies_of(settle(member))

    with pytest.raises(InvariantError, match="from 3 to 3"):
        member.applied(apply)
    with pytest.raises(InvariantError, match="from 3 to 2"):
        member.applied(Apply([Entry(1, 2)], []))


def test_a_confirmed_read_carries_its_context_and_the_commit_index() -> None:
    member, _ = make_leader()
    member.read_index(b"round-1")

    found = [read for effects in settle(member) for read in effects.confirmed_reads]

    assert found == [(b"round-1", 2)]


def test_a_read_before_the_first_commit_of_the_term_waits_for_it() -> None:
    """Only with an entry of its own term committed does a new leader know what the last one had acknowledged."""
    member, _ = make_member()
    member.campaign()
    while not member.is_leader:
        (vote,) = writes_of(drain(member))
        member.persisted(vote)
    (first_entry,) = writes_of(drain(member))
    member.read_index(b"early")
    assert [effects.confirmed_reads for effects in drain(member)] == []

    member.persisted(first_entry)

    found = [read for effects in settle(member) for read in effects.confirmed_reads]
    assert found == [(b"early", 2)]


def test_a_configuration_change_comes_out_for_apply_and_tells_what_came_of_it() -> None:
    member, _ = make_leader()
    change = raft_pb2.ConfChange(type=raft_pb2.ConfChangeAddLearnerNode, node_id=3)
    member.propose_conf_change(change)
    (write,) = writes_of(drain(member))
    assert [entry.type for entry in write.entries] == [ENTRY_CONF_CHANGE]

    conf_state = member.apply_conf_change(change)

    assert conf_state == ConfState([1], learners=[3])


def test_ticks_make_a_lonely_member_stand_for_election() -> None:
    member, _ = make_member()
    for _ in range(20):  # at most twice the election timeout
        member.tick()
        settle(member)

    assert member.is_leader


def test_a_restarted_member_knows_what_it_had_applied_and_committed() -> None:
    storage = MemoryStorage()
    storage.apply_snapshot(Snapshot(b"", 5, 2, ConfState([1])))
    storage.append([Entry(2, 6, data=b"a"), Entry(2, 7, data=b"b")])
    hard_state = HardState(2, 1, 6)
    storage.set_hard_state(hard_state)
    config = Config(
        id=1,
        election_tick=10,
        heartbeat_tick=1,
        storage=storage,
        rng=random.Random(1),
        applied=5,
        write_bare_commits=False,
    )
    member = Member(RawNode(config), storage, hard_state, applied_index=5)
    assert (member.applied_index, member.committed_index, member.last_index) == (5, 6, 7)

    (apply,) = applies_of(settle(member))

    assert [entry.index for entry in apply.entries] == [6]


def test_a_promise_to_others_waits_for_the_disk() -> None:
    member, _ = make_member((1, OTHER))
    member.step(Message(MSG_VOTE, to=1, from_=OTHER, term=2, log_term=1, index=1))
    (effects,) = drain(member)
    assert effects.messages == [] and effects.write is not None

    member.persisted(effects.write)

    (promises,) = drain(member)
    assert [(message.type, message.to, message.reject) for message in promises.messages] == [
        (MSG_VOTE_RESP, OTHER, False)
    ]
    assert promises.write is None


def test_the_answer_to_a_mere_commit_waits_for_the_writes_before_it_and_needs_none_itself() -> None:
    member, _ = make_member((1, OTHER))
    member.step(Message(MSG_APP, 1, OTHER, 2, log_term=1, index=1, entries=[Entry(2, 2, data=b"x")], commit=1))
    (entries,) = writes_of(drain(member))
    member.step(Message(MSG_APP, 1, OTHER, 2, log_term=2, index=2, commit=2))
    (commit,) = writes_of(drain(member))

    assert (commit.entries, commit.hard_state, commit.must_sync) == ([], None, False)
    assert [(response.type, response.index) for response in commit.responses if response.to == OTHER] == [
        (MSG_APP_RESP, 2)
    ]
    member.persisted(entries)
    member.persisted(commit)
    assert sum(len(effects.messages) for effects in settle(member)) == 2
    deferred = member.take_deferred()
    assert deferred is not None and deferred.hard_state == HardState(2, 0, 2)


def test_raft_is_not_told_twice_that_entries_are_on_disk() -> None:
    """It would write a line into the log for every put."""
    lines: list[str] = []
    member, _ = make_member((1, OTHER), logger=Lines(lines))
    member.step(Message(MSG_APP, 1, OTHER, 2, log_term=1, index=1, entries=[Entry(2, 2, data=b"x")], commit=1))
    first = writes_of(drain(member))
    member.step(Message(MSG_APP, 1, OTHER, 2, log_term=2, index=2, commit=2))
    second = writes_of(drain(member))
    lines.clear()

    for write in first + second:
        member.persisted(write)

    assert lines == []
    assert [entry.data for apply in applies_of(drain(member)) for entry in apply.entries] == [b"x"]


def test_a_leader_s_messages_do_not_wait_for_its_own_disk() -> None:
    member, _ = make_member((1, OTHER))
    member.campaign()
    settle(member)
    member.step(Message(MSG_PRE_VOTE_RESP, to=1, from_=OTHER, term=2))
    settle(member)
    member.step(Message(MSG_VOTE_RESP, to=1, from_=OTHER, term=2))
    settle(member)
    member.step(Message(MSG_APP_RESP, to=1, from_=OTHER, term=2, index=2))
    settle(member)
    member.propose([Entry(data=b"x")])

    (effects,) = drain(member)

    assert [(message.type, message.to) for message in effects.messages] == [(MSG_APP, OTHER)]
    assert effects.write is not None and [entry.data for entry in effects.write.entries] == [b"x"]


def test_a_received_snapshot_moves_what_is_applied() -> None:
    member, storage = make_member((1, OTHER))
    snapshot = Snapshot(b"{}", 40, 3, ConfState([1, OTHER]))
    member.step(Message(MSG_SNAP, to=1, from_=OTHER, term=3, snapshot=snapshot))
    (effects,) = drain(member)
    assert effects.write is not None and effects.write.snapshot is snapshot

    member.persisted(effects.write)
    member.restored(snapshot)
    settle(member)

    assert (member.applied_index, member.committed_index, storage.last_index()) == (40, 40, 40)
    with pytest.raises(InvariantError, match="from 40 to snapshot 40"):
        member.restored(snapshot)
