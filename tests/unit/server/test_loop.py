"""The driver on a real disk: nothing is told before it is durable, and nothing at all after a failure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ENTRY_NORMAL, Entry, HardState, Message
from etcdpy.pb.rpc_pb2 import PutRequest, RequestOp, TxnRequest
from etcdpy.raft.constants import (
    MESSAGE_NAMES,
    MSG_APP,
    MSG_APP_RESP,
    MSG_HEARTBEAT,
    MSG_PRE_VOTE_RESP,
    MSG_PROP,
    MSG_VOTE_RESP,
)
from etcdpy.server.effects import Write
from etcdpy.server.inline_sync import PENALTY_WRITES, SMOOTHING, SYNC_SECONDS_MAX
from etcdpy.server.loop import CONGESTION_POLL_SECONDS, merge_writes
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.proposal import InternalEncoder, Proposal
from etcdpy.state.mvcc.answer import Answer
from etcdpy.state.mvcc.txn_plan import read_request
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema.buckets import Bucket
from etcdpy.storage.wal import WalBatch
from tests.unit.server.spine import Notes, Spine, open_spine, run, until

DISK_THREAD = "etcd-disk"
encode = InternalEncoder().encode


def put_entry(spine: Spine, key: bytes, value: bytes = b"v") -> Entry:
    request = PutRequest(key=key, value=value)
    request_id = spine.ids.next_id()
    data = encode(kinds.PUT, request_id, request.SerializeToString())
    return Entry(0, 0, ENTRY_NORMAL, data, Proposal(kinds.PUT, request_id, request))


def txn_entry(spine: Spine, *keys: bytes) -> Entry:
    request = TxnRequest(success=[RequestOp(request_put=PutRequest(key=key, value=b"v")) for key in keys])
    request_id = spine.ids.next_id()
    data = encode(kinds.TXN, request_id, request.SerializeToString())
    return Entry(0, 0, ENTRY_NORMAL, data, Proposal(kinds.TXN, request_id, read_request(request)))


def propose(spine: Spine, count: int) -> None:
    for number in range(count):
        spine.driver.propose(put_entry(spine, b"k%d" % number))


@contextmanager
def started(directory: Path, stopwatch: Callable[[], float] | None = None) -> Iterator[tuple[Spine, Notes]]:
    with open_spine(directory, stopwatch=stopwatch) as spine:
        notes = Notes(spine=spine)
        spine.driver.start(notes)
        yield spine, notes


@contextmanager
def held_up(spine: Spine) -> Iterator[None]:
    spine.wal.gate.clear()
    try:
        yield
    finally:
        spine.wal.gate.set()


def forget_events(spine: Spine) -> None:
    spine.wal.events.clear()
    spine.wal.threads.clear()


def test_alone_the_member_leads_and_applies_its_first_entries(tmp_path: Path) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            await spine.elect()

            assert notes.leaders == [(spine.recovered.member_id, True)]
            assert [member.name for member in spine.roster.get_members()] == ["default"]
            assert notes.values == [] and notes.failures == []

    run(scenario())


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_proposals_are_synced_right_here(tmp_path: Path, count: int) -> None:
    async def scenario() -> None:
        with started(tmp_path, stopwatch=lambda: 0.0) as (spine, notes):
            await spine.elect()
            forget_events(spine)
            propose(spine, count)
            await spine.wait_quiet()

            assert len(notes.values) == count
            assert len(spine.wal.threads) == 1 and DISK_THREAD not in spine.wal.threads

    run(scenario())


def test_more_proposals_go_to_the_disk_thread_in_one_write(tmp_path: Path) -> None:
    async def scenario() -> None:
        with started(tmp_path, stopwatch=lambda: 0.0) as (spine, notes):
            await spine.elect()
            forget_events(spine)
            propose(spine, 3)
            await spine.wait_quiet()

            assert spine.wal.threads == [DISK_THREAD]
            assert notes.batches[-1] == 3

    run(scenario())


@pytest.mark.parametrize("count", [1, 5])
def test_nothing_is_told_before_it_is_on_disk(tmp_path: Path, count: int) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, _):
            await spine.elect()
            forget_events(spine)
            propose(spine, count)
            await spine.wait_quiet()

            assert [event.split()[0] for event in spine.wal.events if "written" not in event] == ["persisted", "told"]

    run(scenario())


def test_a_member_alone_applies_while_the_disk_works(tmp_path: Path) -> None:
    async def scenario() -> None:
        with started(tmp_path, stopwatch=lambda: 0.0) as (spine, notes):
            await spine.elect()
            forget_events(spine)
            seen: list[tuple[int, bool, int]] = []  # when the sync is over: what is applied, and what is told

            def look(step: str) -> None:
                seen.append((spine.store.current_revision, spine.backend.log_is_behind, len(notes.values)))

            spine.wal.on_step = look
            propose(spine, 1)
            await spine.wait_quiet()

            assert seen == [(2, True, 0)]
            assert [event.split()[0] for event in spine.wal.events] == ["written", "persisted", "told"]
            assert len(notes.values) == 1 and not spine.backend.log_is_behind

    run(scenario())


def test_while_the_disk_works_nothing_is_told_or_applied(tmp_path: Path) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            await spine.elect()
            applied = spine.member.applied_index
            with held_up(spine):
                propose(spine, 3)
                await until(lambda: not spine.disk.is_idle and not spine.driver._is_scheduled)
                for _ in range(20):
                    spine.driver.tick()
                    await until(lambda: not spine.driver._is_scheduled)
                assert notes.values == []
                assert (spine.member.applied_index, spine.store.current_revision) == (applied, 1)
                assert not spine.driver.is_quiet
            await spine.wait_quiet()

            assert len(notes.values) == 3

    run(scenario())


def test_proposals_gather_while_a_write_is_in_flight(tmp_path: Path) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            await spine.elect()
            forget_events(spine)
            with held_up(spine):
                propose(spine, 3)
                await until(lambda: not spine.disk.is_idle)
                for _ in range(4):  # each in a turn of its own
                    propose(spine, 1)
                    await until(lambda: not spine.driver._is_scheduled)
                await until(lambda: len(spine.wal.threads) == 1)
            await spine.wait_quiet()

            assert notes.batches[-2:] == [3, 4]
            assert len(spine.wal.threads) == 2

    run(scenario())


def test_answers_come_in_the_order_of_the_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            await spine.elect()
            for size in (1, 4, 2, 9):
                propose(spine, size)
                await until(lambda: not spine.driver._is_scheduled)
            await spine.wait_quiet()

            revisions = [result.revision for result in notes.values if isinstance(result, Answer)]
            assert revisions == list(range(2, 18))

    run(scenario())


def test_a_slow_sync_here_sends_the_next_ones_to_the_thread(tmp_path: Path) -> None:
    """A penalty of so many writes; then the loop tries again by itself."""
    now = [0.0]

    def stopwatch() -> float:
        now[0] += now_step[0]
        return now[0]

    now_step = [0.0]

    async def scenario() -> None:
        with started(tmp_path, stopwatch=stopwatch) as (spine, _):
            await spine.elect()
            now_step[0] = 2 * SYNC_SECONDS_MAX  # a little slow once: it goes on here
            forget_events(spine)
            propose(spine, 1)
            await spine.wait_quiet()
            now_step[0] = 1000 * SYNC_SECONDS_MAX  # one that is very slow counts no more
            propose(spine, 1)
            await spine.wait_quiet()
            assert DISK_THREAD not in spine.wal.threads
            for _ in range(SMOOTHING):  # until the disk itself is slow
                if spine.driver._sync_here.is_allowed:
                    propose(spine, 1)
                    await spine.wait_quiet()
            now_step[0] = 0.0
            here = len(spine.wal.threads)
            for _ in range(PENALTY_WRITES + 1):
                propose(spine, 1)
                await spine.wait_quiet()

            on_thread = [name == DISK_THREAD for name in spine.wal.threads]
            assert 4 < here < SMOOTHING
            assert on_thread == [False] * here + [True] * PENALTY_WRITES + [False]

    run(scenario())


@pytest.mark.parametrize("count", [1, 5])
def test_a_failing_disk_ends_the_member_and_tells_once(tmp_path: Path, count: int) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            await spine.elect()
            applied = spine.member.applied_index
            spine.wal.failing = True
            propose(spine, count)
            await until(lambda: bool(notes.failures))
            spine.driver.fail(RuntimeError("a second one"))
            turns = len(notes.turns)
            propose(spine, 1)
            spine.driver.tick()
            spine.driver.schedule()
            await until(lambda: spine.disk.is_idle)

            assert [type(error) for error in notes.failures] == [OSError]
            assert notes.values == [] and len(notes.turns) == turns
            assert spine.driver.has_failed
            assert spine.member.applied_index == applied
            # A member alone had applied the single one, for itself: nothing of it gets to disk or to anybody.
            assert spine.store.current_revision == (2 if count == 1 else 1)
            with pytest.raises(StorageError):
                spine.backend.flush()

    run(scenario())


def test_what_was_in_flight_behind_a_failed_write_is_never_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            await spine.elect()
            with held_up(spine):
                propose(spine, 3)
                await until(lambda: not spine.disk.is_idle)
                propose(spine, 3)
                spine.wal.failing = True
            await until(lambda: bool(notes.failures))
            spine.wal.failing = False
            await until(lambda: spine.disk.is_idle)

            assert notes.values == [] and len(notes.failures) == 1

    run(scenario())


def test_a_bug_in_apply_ends_the_member(tmp_path: Path) -> None:
    """An entry that nobody understands: to skip it would let members diverge."""

    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            await spine.elect()
            spine.driver.propose(Entry(0, 0, ENTRY_NORMAL, b"\xff\xff\xff"))
            await until(lambda: bool(notes.failures))

            assert [type(error) for error in notes.failures] == [InvariantError]
            assert notes.values == []

    run(scenario())


def test_a_guarded_callback_that_raises_ends_the_member_and_later_ones_do_not_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            ran: list[str] = []

            def broken() -> None:
                ran.append("broken")
                raise InvariantError("ours")

            spine.driver.guard(broken)
            spine.driver.guard(lambda: ran.append("later"))

            assert ran == ["broken"]
            assert [str(error) for error in notes.failures] == ["ours"]

    run(scenario())


def test_a_congested_backend_pauses_apply_until_it_is_free(tmp_path: Path, monkeypatch: Any) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            await spine.elect()
            looks: list[bool] = []
            is_congested = [True]

            def congested() -> bool:
                looks.append(is_congested[0])
                return is_congested[0]

            monkeypatch.setattr(type(spine.backend), "is_congested", lambda _: congested())
            propose(spine, 1)
            propose(spine, 1)
            await until(lambda: len(looks) >= 3)
            assert notes.values == [] and not spine.driver.is_quiet
            assert spine.member.committed_index > spine.member.applied_index
            is_congested[0] = False
            await spine.wait_quiet()

            assert len(notes.values) == 2
            assert spine.member.committed_index == spine.member.applied_index

    assert CONGESTION_POLL_SECONDS < 0.1
    run(scenario())


def test_what_is_committed_and_not_yet_handed_out_counts_as_waiting_for_apply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raft hands out a megabyte at a time; requests are refused by how far apply is behind the whole."""

    async def scenario() -> None:
        with started(tmp_path) as (spine, _):
            await spine.elect()
            applied = spine.member.applied_index
            with monkeypatch.context() as patch:
                patch.setattr(type(spine.backend), "is_congested", lambda _: True)
                for number in range(4):
                    spine.driver.propose(put_entry(spine, b"k%d" % number, bytes(600_000)))
                await until(lambda: spine.member.last_index == applied + 4)
                await until(lambda: not spine.driver._is_scheduled)

                assert spine.member.committed_index - spine.member.applied_index == 4
            await spine.wait_quiet()
            assert spine.member.committed_index == spine.member.applied_index == applied + 4

    run(scenario())


def test_what_is_proposed_before_there_is_a_leader_waits_for_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            propose(spine, 2)
            await until(lambda: bool(notes.turns) and not spine.driver._is_scheduled)
            assert notes.values == [] and spine.driver.is_quiet, "a stop need not wait for it"
            await spine.elect()

            assert len(notes.values) == 2

    run(scenario())


class KeptMessages:
    """Others who keep what they are sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, messages: list[Message], /) -> None:
        self.messages += messages

    def send_snapshot(self, message: Message, /) -> None:
        raise AssertionError("nobody is that far behind")

    def install(self, write: Write, done: Callable[[], None], /) -> None:
        raise AssertionError("nobody sends a snapshot")


def test_what_waits_for_a_leader_can_be_taken_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            entries = [put_entry(spine, b"k%d" % number) for number in range(3)]
            for entry in entries:
                spine.driver.propose(entry)
            ids = [entry.request.request_id for entry in entries if isinstance(entry.request, Proposal)]
            assert spine.driver.withdraw({ids[0], ids[2], 99}) == {ids[0], ids[2]}
            assert spine.driver.withdraw({ids[0]}) == set()
            await spine.elect()
            await until(lambda: len(notes.values) == 1)
            assert [request_id for request_id, _ in notes.results if request_id] == [ids[1]]
            assert spine.driver.withdraw({ids[1]}) == set(), "it is in the log"

    run(scenario())


def test_slow_and_failed_entries_are_told_of(tmp_path: Path) -> None:
    class Times:
        def __init__(self) -> None:
            self.noted: list[bool] = []
            self.told: list[tuple[int, str]] = []

        def note(self, is_good: bool, seconds: float, /) -> bool:
            self.noted.append(is_good)
            return not is_good

        def tell(self, entry: Entry, result: Any, seconds: float, /) -> None:
            self.told.append((len(entry.data), type(result).__name__))

    async def scenario() -> None:
        with started(tmp_path) as (spine, _):
            await spine.elect()
            times = spine.driver.apply_times = Times()
            good, request = put_entry(spine, b"a"), PutRequest(key=b"a", lease=77)
            request_id = spine.ids.next_id()
            data = encode(kinds.PUT, request_id, request.SerializeToString())
            for entry in (good, Entry(0, 0, ENTRY_NORMAL, data, Proposal(kinds.PUT, request_id, request))):
                spine.driver.propose(entry)
            await until(lambda: len(times.noted) == 2)
            assert times.noted == [True, False]
            assert times.told == [(len(data), "LeaseNotFound")], "with its bytes, of which the text is made"

    run(scenario())


def test_what_only_a_leader_may_propose_is_dropped_when_another_leads(tmp_path: Path) -> None:
    """etcd issue 15247: the disk hung, and another one was elected meanwhile."""

    async def scenario() -> None:
        with open_spine(tmp_path) as spine:
            sent, notes = KeptMessages(), Notes(spine=spine)
            spine.driver.connect(sent)
            spine.driver.start(notes)
            await spine.elect()
            log_end = spine.member.last_index
            spine.driver.propose_as_leader(put_entry(spine, b"by the leader"))
            await spine.wait_quiet()
            assert spine.member.last_index == log_end + 1

            with held_up(spine):
                propose(spine, 3)
                await until(lambda: spine.driver._is_writing)
                spine.driver.propose_as_leader(put_entry(spine, b"late"))
                spine.driver.propose(put_entry(spine, b"ordinary"))
                spine.driver.receive(
                    Message(MSG_HEARTBEAT, to=spine.recovered.member_id, from_=2, term=spine.member.term + 1)
                )
                await until(lambda: spine.member.leader_id == 2)
            await until(lambda: not spine.driver._pending_as_leader)
            await until(lambda: any(message.type == MSG_PROP for message in sent.messages))
            forwarded = [
                entry.data for message in sent.messages if message.type == MSG_PROP for entry in message.entries
            ]

            assert len(forwarded) == 1 and b"ordinary" in forwarded[0]
            await until(lambda: spine.driver.is_quiet)

    run(scenario())


def test_a_read_round_is_asked_for_only_with_a_leader_and_confirmed_with_its_context(tmp_path: Path) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            notes.contexts = [b"round-1"]
            spine.driver.schedule()
            await until(lambda: bool(notes.turns))
            assert notes.contexts == [b"round-1"]
            await spine.elect()

            assert notes.contexts == []
            assert notes.confirmed == [(b"round-1", spine.member.committed_index)]

    run(scenario())


def test_a_restart_finds_what_was_told(tmp_path: Path) -> None:
    async def first_life() -> None:
        with started(tmp_path) as (spine, notes):
            await spine.elect()
            propose(spine, 7)
            await spine.wait_quiet()
            assert len(notes.values) == 7

    async def second_life() -> None:
        with started(tmp_path) as (spine, _):
            await spine.elect()
            assert (spine.store.current_revision, spine.store.keys_total) == (8, 7)

    run(first_life())
    run(second_life())


def test_entries_that_the_backend_has_already_are_not_applied_twice(tmp_path: Path) -> None:
    """The log is replayed from its start; the store is further on."""

    async def life(revision: int, proposals: int) -> None:
        with started(tmp_path) as (spine, _):
            await spine.elect()
            assert spine.store.current_revision == revision
            for _ in range(proposals):
                propose(spine, 1)
                await spine.wait_quiet()
            assert spine.store.current_revision == revision + proposals

    run(life(1, 3))
    run(life(4, 2))
    run(life(6, 0))


def test_an_entry_whose_apply_broke_off_leaves_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when a slice of compaction, or the stop, comes between: the restart applies the whole entry, once."""

    async def broken_life() -> None:
        with started(tmp_path) as (spine, notes):
            await spine.elect()
            propose(spine, 2)
            await spine.wait_quiet()
            spine.store.compact(2)
            write = Backend.put

            def break_off(backend: Backend, bucket: Bucket, key: bytes, value: bytes) -> None:
                if b"second" in value:
                    raise MemoryError
                write(backend, bucket, key, value)

            with monkeypatch.context() as patch:
                patch.setattr(Backend, "put", break_off)
                spine.driver.propose(txn_entry(spine, b"first", b"second"))
                await until(lambda: bool(notes.failures))
            with contextlib.suppress(StorageError):
                spine.store.compact_step()

    async def next_life() -> None:
        with started(tmp_path) as (spine, _):
            assert spine.store.get(b"first").body == b"", "half of the entry is on disk"
            await spine.elect()

            assert spine.store.current_revision == 4
            assert spine.store.get(b"first").body and spine.store.get(b"second").body

    run(broken_life())
    run(next_life())


def test_the_term_of_what_was_applied_is_that_of_a_configuration_change_too(tmp_path: Path) -> None:
    """A snapshot is named by it: one taken right after the founding would be of term 0 otherwise."""

    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            await until(lambda: bool(notes.turns) and spine.member.applied_index == 1)

            assert spine.applier.term == 1

    run(scenario())


class Witness:
    """The network: notes when the messages left."""

    def __init__(self, spine: Spine) -> None:
        self._events = spine.wal.events

    def send(self, messages: list[Message]) -> None:
        names = [MESSAGE_NAMES[message.type] + " with entries" * bool(message.entries) for message in messages]
        self._events.append("sent " + ", ".join(names))

    def send_snapshot(self, message: Message) -> None:
        raise AssertionError("nobody needs one")

    def install(self, write: Write, done: Callable[[], None]) -> None:
        raise AssertionError("none came")


OTHER = 7


@contextmanager
def one_of_two(directory: Path) -> Iterator[tuple[Spine, Notes]]:
    """The other is a voter, and says what the test lets it say."""
    with open_spine(directory, stopwatch=lambda: 0.0) as spine:
        notes = Notes(spine=spine)
        spine.driver.connect(Witness(spine))
        spine.driver.start(notes)
        yield spine, notes


async def join(spine: Spine) -> None:
    """Let another voter into the configuration, as its own members would learn it."""
    await until(lambda: spine.member.applied_index == spine.member.last_index)
    spine.member.apply_conf_change(
        raft_pb2.ConfChangeV2(changes=[raft_pb2.ConfChangeSingle(type=raft_pb2.ConfChangeAddNode, node_id=OTHER)])
    )


def test_a_promise_leaves_before_what_was_committed_earlier_is_applied(tmp_path: Path) -> None:
    async def scenario() -> None:
        with one_of_two(tmp_path) as (spine, notes):
            await join(spine)
            me, last = spine.recovered.member_id, spine.member.last_index
            data = put_entry(spine, b"k").data
            terms = Message(MSG_APP, me, OTHER, 5, spine.member.term, last, [Entry(5, last + 1)], last)
            spine.driver.receive(terms)
            await spine.wait_quiet()
            forget_events(spine)
            spine.driver.receive(Message(MSG_APP, me, OTHER, 5, 5, last + 1, [Entry(5, last + 2, data=data)], last + 1))
            await spine.wait_quiet()

            assert [event.split()[0] for event in spine.wal.events] == ["persisted", "sent", "told"]
            assert spine.wal.events[1] == "sent MsgAppResp"

    run(scenario())


def test_a_mere_commit_does_not_touch_the_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        with one_of_two(tmp_path) as (spine, notes):
            await join(spine)
            me, last = spine.recovered.member_id, spine.member.last_index
            spine.driver.receive(Message(MSG_APP, me, OTHER, 5, spine.member.term, last, [Entry(5, last + 1)], last))
            await spine.wait_quiet()
            forget_events(spine)
            spine.driver.receive(Message(MSG_APP, me, OTHER, 5, 5, last + 1, [], last + 1))
            await spine.wait_quiet()

            assert spine.wal.events == ["sent MsgAppResp", "told 1"]
            assert spine.member.applied_index == last + 1

    run(scenario())


@pytest.mark.parametrize("count", [1, 5])
def test_others_are_told_of_a_small_commit_after_our_client(tmp_path: Path, count: int) -> None:
    async def scenario() -> None:
        with one_of_two(tmp_path) as (spine, notes):
            await join(spine)
            me = spine.recovered.member_id
            spine.driver.campaign_when_applied()
            await until(lambda: any("MsgPreVote" in event for event in spine.wal.events))
            term = spine.member.term + 1
            spine.driver.receive(Message(MSG_PRE_VOTE_RESP, me, OTHER, term))
            await spine.wait_quiet()
            spine.driver.receive(Message(MSG_VOTE_RESP, me, OTHER, term))
            await spine.wait_quiet()
            spine.driver.receive(Message(MSG_APP_RESP, me, OTHER, term, index=spine.member.last_index))
            await spine.wait_quiet()
            propose(spine, count)
            await until(lambda: spine.driver.is_quiet)
            forget_events(spine)
            spine.driver.receive(Message(MSG_APP_RESP, me, OTHER, term, index=spine.member.last_index))
            await until(lambda: len(spine.wal.events) == 2)

            told, sent = f"told {count}", "sent MsgApp"
            assert spine.wal.events == ([told, sent] if count == 1 else [sent, told])

    run(scenario())


def test_writes_that_come_while_the_disk_is_busy_become_one() -> None:
    first = Write([Entry(1, 5), Entry(1, 6)], HardState(1, 2, 4), None, [], must_sync=True)
    second = Write([Entry(1, 7)], HardState(1, 2, 6), None, [], must_sync=True)
    promise_only = Write([], None, None, [], must_sync=False)
    replacing = Write([Entry(2, 7), Entry(2, 8)], HardState(2, 0, 6), None, [], must_sync=True)

    merged = merge_writes([promise_only, first, second, promise_only, replacing])

    assert [([(entry.term, entry.index) for entry in write.entries], write.hard_state) for write in merged] == [
        ([(1, 5), (1, 6), (1, 7)], HardState(1, 2, 6)),
        ([(2, 7), (2, 8)], HardState(2, 0, 6)),
    ]
    assert [entry.index for entry in first.entries] == [5, 6]  # they are taken back by the member as they were


def test_promises_alone_need_no_write() -> None:
    assert merge_writes([Write([], None, None, [], must_sync=False)] * 2) == []


def test_who_removed_itself_is_not_alone_with_the_last_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        with open_spine(tmp_path) as spine:
            spine.driver.connect(KeptMessages())
            spine.driver.start(Notes(spine=spine))
            await spine.elect()
            for kind, member_id in (
                (raft_pb2.ConfChangeAddNode, OTHER),
                (raft_pb2.ConfChangeRemoveNode, spine.member.id),
            ):
                change = raft_pb2.ConfChangeSingle(type=kind, node_id=member_id)
                spine.member.apply_conf_change(raft_pb2.ConfChangeV2(changes=[change]))

            assert spine.member.conf_state.voters == [OTHER] and spine.member.is_leader
            assert not spine.member.is_alone

    run(scenario())


def test_a_new_leader_s_first_entry_is_durable_before_anybody_hears_of_the_leader(tmp_path: Path) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            seen: list[tuple[int, bool]] = []
            spine.wal.on_step = lambda step: seen.append((len(notes.leaders), spine.member.is_leader))
            await spine.elect()

            assert seen[-1] == (0, True) and notes.leaders == [(spine.member.id, True)]

    run(scenario())


def test_a_slow_beginning_of_a_write_counts_as_a_slow_sync(tmp_path: Path) -> None:
    """The system may let us wait already when it is asked to begin."""
    now = [0.0]

    async def scenario() -> None:
        with started(tmp_path, stopwatch=lambda: now[0]) as (spine, _):
            await spine.elect()
            write = spine.wal.write

            def write_slowly(batch: WalBatch) -> None:
                now[0] += 3 * SYNC_SECONDS_MAX
                write(batch)

            spine.wal.write = write_slowly  # type: ignore[method-assign]
            for _ in range(SMOOTHING):
                propose(spine, 1)
                await spine.wait_quiet()

            assert DISK_THREAD in spine.wal.threads

    run(scenario())


def test_an_interrupted_turn_ends_the_member(tmp_path: Path) -> None:
    """Control-C in the middle of apply: an entry that was begun would be left out by those behind it."""

    async def scenario() -> None:
        with started(tmp_path) as (spine, notes):
            await spine.elect()

            def interrupt() -> None:
                raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                spine.driver.guard(interrupt)

            assert spine.driver.has_failed and len(notes.failures) == 1

    run(scenario())


def test_with_a_learner_nothing_is_applied_before_the_sync(tmp_path: Path) -> None:
    async def scenario() -> None:
        with open_spine(tmp_path, stopwatch=lambda: 0.0) as spine:
            sent, notes = KeptMessages(), Notes(spine=spine)
            spine.driver.connect(sent)
            spine.driver.start(notes)
            await spine.elect()
            assert spine.member.is_alone
            learner = raft_pb2.ConfChangeSingle(type=raft_pb2.ConfChangeAddLearnerNode, node_id=OTHER)
            spine.member.apply_conf_change(raft_pb2.ConfChangeV2(changes=[learner]))
            assert not spine.member.is_alone
            forget_events(spine)
            propose(spine, 1)
            await until(lambda: len(notes.values) == 1)

            assert [event.split()[0] for event in spine.wal.events] == ["persisted", "told"]

    run(scenario())


def test_a_proposal_is_taken_back_only_before_it_is_proposed(tmp_path: Path) -> None:
    async def scenario() -> None:
        with started(tmp_path) as (spine, _):
            early, other = put_entry(spine, b"early"), put_entry(spine, b"other")
            spine.driver.propose(early)
            spine.driver.propose(other)
            assert spine.driver.take_back(early) and not spine.driver.take_back(early)
            await spine.elect()
            assert not spine.driver.take_back(other)

            assert spine.store.keys_total == 1

    run(scenario())
