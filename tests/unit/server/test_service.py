"""The service on a real member: each ticket comes back once, with the answer or with why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from etcdpy.base.errors import (
    Compacted,
    EtcdError,
    FutureRev,
    LeaseNotFound,
    NoSpace,
    RequestTooLarge,
    RequestTooManyRequests,
    Stopped,
    Timeout,
)
from etcdpy.pb import rpc_pb2
from etcdpy.pb.raft_values import Entry
from etcdpy.pb.rpc_pb2 import CompactionRequest, LeaseRevokeRequest, PutRequest, RangeRequest, RangeResponse
from etcdpy.server.reads import Read
from etcdpy.server.service import ANSWERED_BYTES_MAX, NOBODY, UNAPPLIED_ENTRIES_MAX, Service
from etcdpy.server.timeouts import NeverProposed, TimeoutReasons
from etcdpy.state.alarm import NOSPACE
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.applier import Result
from etcdpy.state.mvcc.answer import Answer
from etcdpy.state.mvcc.reads import LARGE_RANGE_KEYS
from etcdpy.state.mvcc.txn_plan import read_all
from tests.unit.server.spine import Spine, open_spine, run, until

MEMBER_VERSION_PATH = "/0/version"


class Follower:
    """An observer that does what must be done (configuration changes) and notes the rest."""

    def __init__(self, spine: Spine) -> None:
        self.spine = spine
        self.turns: list[int] = []
        self.leaders: list[tuple[int, bool]] = []
        self.failures: list[BaseException] = []

    def on_applied(self, results: list[tuple[int, Result | None]]) -> None:
        pass

    def before_answers(self) -> None: ...

    def on_turn_end(self, applied_index: int) -> None:
        self.turns.append(applied_index)

    def on_leader_change(self, leader_id: int, *, is_self: bool) -> None:
        self.leaders.append((leader_id, is_self))

    def on_conf_change(self, entry: Entry) -> None:
        self.spine.apply_conf_change(entry)

    def on_failure(self, error: BaseException) -> None:
        self.failures.append(error)


class Desk:
    """Who asks: hands out tickets and notes what comes back."""

    def __init__(self, spine: Spine, service: Service) -> None:
        self.spine = spine
        self.service = service
        self.answers: dict[int, list[Result]] = {}
        self.deliveries: list[list[int]] = []
        self.last_ticket = 0
        self.follower = Follower(spine)
        service.observer = self.follower
        service.deliver = self.take

    def take(self, answers: Sequence[tuple[int, Result]]) -> None:
        self.deliveries.append([ticket for ticket, _ in answers])
        for ticket, result in answers:
            self.answers.setdefault(ticket, []).append(result)

    def ticket(self) -> int:
        self.last_ticket += 1
        return self.last_ticket

    def put(self, key: bytes, value: bytes = b"v", lease: int = 0) -> int:
        ticket, request = self.ticket(), PutRequest(key=key, value=value, lease=lease)
        self.service.submit(ticket, kinds.PUT, request, request.SerializeToString())
        return ticket

    def range(self, request: RangeRequest) -> int:
        ticket = self.ticket()
        self.service.submit_range(ticket, request)
        return ticket

    async def answer(self, ticket: int) -> Result:
        await until(lambda: ticket in self.answers)
        (result,) = self.answers[ticket]
        return result

    async def settle(self) -> None:
        await self.spine.wait_quiet()


@asynccontextmanager
async def open_desk(
    directory: Path, *, elect: bool = True, timeout_seconds: float = 7.0, quota_bytes: int = 0
) -> AsyncIterator[Desk]:
    with open_spine(directory) as spine:
        service = spine.make_service(timeout_seconds=timeout_seconds, quota_bytes=quota_bytes)
        desk = Desk(spine, service)
        spine.driver.start(service)
        if elect:
            await spine.elect()
        yield desk


def error_of(result: Result) -> type:
    assert isinstance(result, EtcdError)
    return type(result)


def kvs_of(result: Result) -> list[tuple[bytes, bytes]]:
    assert isinstance(result, Answer)
    return [(kv.key, kv.value) for kv in RangeResponse.FromString(result.body).kvs]


# -- proposals


def test_every_ticket_comes_back_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            tickets = [desk.put(b"k%d" % number) for number in range(50)]
            await desk.settle()

            assert sorted(desk.answers) == tickets
            revisions = [result.revision for t in tickets for result in desk.answers[t] if isinstance(result, Answer)]
            assert revisions == list(range(2, 52))
            assert desk.service.proposals_pending == 0

    run(scenario())


def test_answers_of_one_turn_are_delivered_together(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            tickets = [desk.put(b"a"), desk.put(b"b"), desk.put(b"c")]
            await desk.settle()

            assert desk.deliveries == [tickets]

    run(scenario())


def test_a_request_that_fails_in_apply_is_told_its_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            refused, taken = desk.put(b"a", lease=77), desk.put(b"b")

            assert error_of(await desk.answer(refused)) is LeaseNotFound
            assert isinstance(await desk.answer(taken), Answer)

    run(scenario())


def test_nobodys_requests_are_applied_and_answered_to_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            desk.service.propose_unattended(kinds.PUT, PutRequest(key=b"a"))
            await desk.settle()

            assert (desk.spine.store.keys_total, desk.deliveries, desk.service.proposals_pending) == (1, [], 0)

    run(scenario())


def test_the_refusal_of_nobodys_request_disturbs_nobody(tmp_path: Path) -> None:
    """Not while somebody of the service's own waits, and not while nobody does."""

    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            waiting = asyncio.ensure_future(desk.service.call(kinds.PUT, PutRequest(key=b"a")))
            await asyncio.sleep(0)
            desk.service.propose_unattended(kinds.LEASE_REVOKE, LeaseRevokeRequest(ID=9))
            assert isinstance(await waiting, Answer)
            await desk.settle()

            assert desk.deliveries == []

    run(scenario())


@pytest.mark.parametrize(("spare", "error"), [(0, None), (-1, RequestTooLarge)])
def test_the_largest_request_is_just_taken(tmp_path: Path, spare: int, error: type | None) -> None:
    """The limit counts the entry's data: request, kind and header."""

    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            # 1 tag + 3 length + 2 tag and 1 length of the key + 1 key + 4 of the value's tag and length
            # + 3 of the header's tag and length + 1 tag + 9 or 10 of the id: measured once below.
            request = PutRequest(key=b"k", value=b"")
            entry_bytes = len(desk.service._encode(kinds.PUT, desk.spine.ids.next_id(), bytes(1_572_000))) - 1_572_000
            body_bytes = 1_572_864 - entry_bytes - spare
            request.value = bytes(body_bytes - len(b"\n\x01k") - 4)
            assert len(request.SerializeToString()) == body_bytes
            ticket = desk.ticket()
            desk.service.submit(ticket, kinds.PUT, request, request.SerializeToString())
            result = await desk.answer(ticket)

            assert (None if isinstance(result, Answer) else type(result)) is error

    run(scenario())


def test_too_many_unapplied_entries_refuse_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            member = desk.spine.member
            applied = member.applied_index
            member.applied_index = member.committed_index - UNAPPLIED_ENTRIES_MAX
            taken = desk.put(b"a")
            member.applied_index -= 1
            refused = desk.put(b"b")
            member.applied_index = applied

            assert error_of(await desk.answer(refused)) is RequestTooManyRequests
            assert isinstance(await desk.answer(taken), Answer)

    run(scenario())


def test_without_room_a_put_is_refused_and_the_alarm_raised_for_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, quota_bytes=1) as desk:
            first, second = desk.put(b"a"), desk.put(b"b")
            assert error_of(await desk.answer(first)) is NoSpace
            assert error_of(await desk.answer(second)) is NoSpace
            await desk.settle()

            alarms = [(alarm.memberID, alarm.alarm) for alarm in desk.spine.alarms.list_alarms()]
            assert alarms == [(desk.spine.recovered.member_id, NOSPACE)]
            assert desk.spine.store.current_revision == 1
            log_end = desk.spine.member.last_index
            desk.put(b"c")
            await desk.settle()
            assert desk.spine.member.last_index == log_end, "a raised alarm is not raised again"

    run(scenario())


def test_without_a_leader_the_alarm_waits_once_and_not_for_ever(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, quota_bytes=1, elect=False) as desk:
            pending, now = desk.spine.driver._pending, desk.spine.loop.time()
            for _ in range(20):
                assert error_of(await desk.answer(desk.put(b"a"))) is NoSpace
            assert len(pending) == 1
            desk.service.expire(now)
            desk.service.expire(now + 7.0)
            assert desk.spine.driver._pending == []
            await asyncio.sleep(0)  # the alarm hears of it
            desk.put(b"a")
            await desk.spine.elect()
            await desk.settle()

            assert [alarm.alarm for alarm in desk.spine.alarms.list_alarms()] == [NOSPACE]
            assert desk.service.proposals_pending == 0

    run(scenario())


def test_deletes_and_reads_need_no_room(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, quota_bytes=1) as desk:
            ticket, request = desk.ticket(), rpc_pb2.DeleteRangeRequest(key=b"a")
            desk.service.submit(ticket, kinds.DELETE_RANGE, request, request.SerializeToString())

            assert isinstance(await desk.answer(ticket), Answer)
            assert isinstance(await desk.answer(desk.range(RangeRequest(key=b"a"))), Answer)

    run(scenario())


def test_call_returns_the_answer_or_raises_the_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            answer = await desk.service.call(kinds.PUT, PutRequest(key=b"a"))
            assert answer.revision == 2
            with pytest.raises(LeaseNotFound):
                await desk.service.call(kinds.PUT, PutRequest(key=b"a", lease=7))

            assert desk.deliveries == []

    run(scenario())


def test_an_abandoned_call_harms_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            abandoned = asyncio.ensure_future(desk.service.call(kinds.PUT, PutRequest(key=b"a")))
            await asyncio.sleep(0)
            abandoned.cancel()
            other = desk.put(b"b")

            assert isinstance(await desk.answer(other), Answer)

    run(scenario())


def test_a_v2_put_reaches_the_roster(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            await desk.service.propose_v2_put(MEMBER_VERSION_PATH, "3.5.0")

            assert desk.spine.roster.version == "3.5.0"

    run(scenario())


# -- reads


def test_a_linearizable_read_sees_what_was_answered_before_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            for number in range(5):
                await desk.answer(desk.put(b"a", b"%d" % number))
                assert kvs_of(await desk.answer(desk.range(RangeRequest(key=b"a")))) == [(b"a", b"%d" % number)]

    run(scenario())


def test_a_serializable_read_is_answered_at_once_even_without_a_leader(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, elect=False) as desk:
            ticket = desk.range(RangeRequest(key=b"a", serializable=True))
            waiting = desk.range(RangeRequest(key=b"a"))

            assert ticket in desk.answers and waiting not in desk.answers

    run(scenario())


def test_reads_that_wait_for_a_leader_are_answered_when_there_is_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, elect=False) as desk:
            tickets = [desk.range(RangeRequest(key=b"a")) for _ in range(3)]
            await desk.spine.elect()
            for ticket in tickets:
                assert kvs_of(await desk.answer(ticket)) == []

    run(scenario())


def test_a_read_sees_errors_as_answers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            for serializable in (True, False):
                ticket = desk.range(RangeRequest(key=b"a", revision=9, serializable=serializable))
                assert error_of(await desk.answer(ticket)) is FutureRev

    run(scenario())


def test_every_round_has_a_context_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            seen: list[bytes] = []
            close = desk.service.close_read_round
            for _ in range(5):
                desk.service._reads.add(Read(NOBODY, kinds.RANGE, RangeRequest(key=b"a")))
                context = close()
                assert context is not None
                seen.append(context)
                desk.service.on_reads_confirmed(context, 0)
            assert close() is None

            assert len(set(seen)) == 5

    run(scenario())


def test_wait_linearizable_returns_when_everything_before_is_applied(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            await desk.answer(desk.put(b"a"))
            answer = await desk.service.wait_linearizable()

            assert (answer.revision, answer.body) == (2, b"")

    run(scenario())


@pytest.mark.parametrize("serializable", [True, False])
def test_a_readonly_transaction_never_enters_the_log(tmp_path: Path, serializable: bool) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            await desk.answer(desk.put(b"a", b"1"))
            log_end = desk.spine.member.last_index
            operation = rpc_pb2.RequestOp(request_range=RangeRequest(key=b"a"))
            plan = read_all(rpc_pb2.TxnRequest(success=[operation]))
            ticket = desk.ticket()
            desk.service.submit_readonly_txn(ticket, plan, serializable=serializable)
            result = await desk.answer(ticket)

            assert isinstance(result, Answer)
            response = rpc_pb2.TxnResponse.FromString(result.body)
            assert (response.succeeded, desk.spine.member.last_index) == (True, log_end)

    run(scenario())


# -- large reads


async def fill(desk: Desk, count: int) -> None:
    for start in range(0, count, 500):
        puts = [
            rpc_pb2.RequestOp(request_put=PutRequest(key=b"%06d" % number, value=b"v"))
            for number in range(start, min(start + 500, count))
        ]
        request, ticket = rpc_pb2.TxnRequest(success=puts), desk.ticket()
        desk.service.submit(ticket, kinds.TXN, read_all(request), request.SerializeToString())
        assert isinstance(await desk.answer(ticket), Answer)


EVERYTHING = RangeRequest(key=b"\0", range_end=b"\0")
LARGE = 3 * LARGE_RANGE_KEYS


def test_a_large_range_gives_the_same_answer_as_one_at_once_but_lets_others_in_between(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            await fill(desk, LARGE)
            at_once = desk.spine.store.range(EVERYTHING)
            large = desk.range(EVERYTHING)
            small = desk.range(RangeRequest(key=b"000001"))
            sliced = await desk.answer(large)

            assert isinstance(sliced, Answer)
            assert (sliced.revision, sliced.body) == (at_once.revision, at_once.body)
            order = [ticket for delivery in desk.deliveries for ticket in delivery]
            assert order.index(small) < order.index(large)

    run(scenario())


def test_a_large_serializable_range_comes_in_slices_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            await fill(desk, LARGE)
            request = RangeRequest(key=b"\0", range_end=b"\0", serializable=True)
            ticket = desk.range(request)
            assert ticket not in desk.answers
            sliced = await desk.answer(ticket)

            assert isinstance(sliced, Answer) and sliced.body == desk.spine.store.range(request).body

    run(scenario())


def test_few_large_values_come_in_slices_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            for number in range(20):
                await desk.answer(desk.put(b"%02d" % number, bytes(100_000)))
            at_once = desk.spine.store.range(EVERYTHING)
            ranges = desk.spine.store.counters.ranges
            large = desk.range(EVERYTHING)
            small = desk.range(RangeRequest(key=b"01", range_end=b"03", keys_only=True))
            sliced = await desk.answer(large)

            assert isinstance(sliced, Answer) and isinstance(sliced.content, list)
            assert (sliced.revision, sliced.body) == (at_once.revision, at_once.body)
            order = [ticket for delivery in desk.deliveries for ticket in delivery]
            assert order.index(small) < order.index(large)
            assert desk.spine.store.counters.ranges == ranges + 2, "begun anew, it counts once"

    run(scenario())


def test_compaction_that_overtakes_a_large_range_ends_it_with_compacted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            await fill(desk, LARGE)
            await desk.answer(desk.put(b"a"))
            revision = desk.spine.store.current_revision
            request = RangeRequest(key=b"\0", range_end=b"\0", revision=revision - 1, serializable=True)
            ticket = desk.range(request)
            await asyncio.sleep(0)
            desk.spine.store.compact(revision)

            assert error_of(await desk.answer(ticket)) is Compacted

    run(scenario())


def test_a_stop_in_the_middle_of_a_large_range_answers_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            await fill(desk, LARGE)
            ticket = desk.range(RangeRequest(key=b"\0", range_end=b"\0", serializable=True))
            await asyncio.sleep(0)
            desk.service.stop()
            for _ in range(20):
                await asyncio.sleep(0)

            assert [type(result) for result in desk.answers[ticket]] == [Stopped]

    run(scenario())


# -- time


def test_what_is_not_applied_in_time_is_told_so_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, elect=False) as desk:
            put, read = desk.put(b"a"), desk.range(RangeRequest(key=b"a"))
            now = desk.spine.loop.time()
            desk.service.expire(now)  # notes who waits
            desk.service.expire(now + 6.9)
            assert desk.answers == {}
            desk.service.expire(now + 7.0)
            assert error_of(await desk.answer(put)) is NeverProposed
            assert error_of(await desk.answer(read)) is Timeout
            assert (desk.service.proposals_failed, desk.service.read_indexes_failed) == (1, 1)
            await desk.spine.elect()
            await desk.settle()

            assert len(desk.answers[put]) == len(desk.answers[read]) == 1
            assert desk.spine.store.keys_total == 0, "it was told that it never would be, and takes no memory any more"

    run(scenario())


def test_a_later_request_has_its_own_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, elect=False) as desk:
            now = desk.spine.loop.time()
            first = desk.put(b"a")
            desk.service.expire(now)
            second = desk.put(b"b")
            desk.service.expire(now + 5.0)
            desk.service.expire(now + 7.0)
            assert first in desk.answers and second not in desk.answers
            desk.service.expire(now + 12.0)

            assert error_of(await desk.answer(second)) is NeverProposed

    run(scenario())


def test_a_request_came_when_nobody_was_looking(tmp_path: Path) -> None:
    """Some time between two looks at who waits."""

    class Reasons(TimeoutReasons):
        def __init__(self) -> None:
            self.came: list[tuple[float, float | None]] = []

        def find(self, began: float, noticed: float | None = None) -> EtcdError:
            self.came.append((began, noticed))
            return Timeout()

    async def scenario() -> None:
        async with open_desk(tmp_path, elect=False) as desk:
            desk.service.timeout_reasons = reasons = Reasons()
            now = desk.spine.loop.time()
            desk.service.expire(now)
            desk.put(b"a")
            desk.service.expire(now + 0.5)
            desk.service.expire(now + 7.5)

            assert reasons.came == [(now, now + 0.5)]

    run(scenario())


def test_a_read_whose_round_nobody_confirms_times_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            desk.spine.driver.has_failed = True  # no turn follows: nothing will be confirmed
            ticket = desk.range(RangeRequest(key=b"a"))
            assert desk.service.close_read_round() is not None
            now = desk.spine.loop.time()
            desk.service.expire(now + 6.0)
            assert ticket not in desk.answers
            desk.service.expire(now + 8.0)

            assert error_of(await desk.answer(ticket)) is Timeout

    run(scenario())


def test_a_read_that_finds_no_leader_times_out(tmp_path: Path) -> None:
    """Without a leader no round is ever closed; who gathers waits no longer for that."""

    async def scenario() -> None:
        async with open_desk(tmp_path, elect=False) as desk:
            ticket = desk.range(RangeRequest(key=b"a"))
            now = desk.spine.loop.time()
            for second in range(20):
                desk.service.expire(now + second)

            assert error_of(await desk.answer(ticket)) is Timeout

    run(scenario())


# -- the end


def test_a_stop_answers_all_who_wait_and_refuses_all_who_come(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, elect=False) as desk:
            waiting = [desk.put(b"a"), desk.range(RangeRequest(key=b"a"))]
            own = asyncio.ensure_future(desk.service.call(kinds.PUT, PutRequest(key=b"b")))
            await asyncio.sleep(0)
            desk.service.stop()
            late = [desk.put(b"c"), desk.range(RangeRequest(key=b"c"))]

            assert [error_of(await desk.answer(ticket)) for ticket in waiting + late] == [Stopped] * 4
            with pytest.raises(Stopped):
                await own

    run(scenario())


def test_after_a_failure_nothing_proposed_is_ever_answered_and_the_observer_knows(tmp_path: Path) -> None:
    """Its outcome is unknown: silence is the honest answer. Who comes later is refused."""

    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            desk.spine.wal.failing = True
            ticket = desk.put(b"a")
            await until(lambda: bool(desk.follower.failures))
            # A member alone applied it while the disk was at it: nobody may see that now, not even by a count.
            counted = desk.range(RangeRequest(key=b"a", serializable=True, count_only=True))
            late = desk.put(b"b")

            assert ticket not in desk.answers
            assert error_of(await desk.answer(counted)) is Stopped
            assert error_of(await desk.answer(late)) is Stopped
            assert [type(error) for error in desk.follower.failures] == [OSError]

    run(scenario())


def test_compaction_is_a_request_like_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            await desk.answer(desk.put(b"a"))
            await desk.answer(desk.put(b"a"))
            await desk.service.call(kinds.COMPACTION, CompactionRequest(revision=3))
            with pytest.raises(Compacted):
                await desk.service.call(kinds.COMPACTION, CompactionRequest(revision=3))
            with pytest.raises(Compacted):
                desk.service.range_now(RangeRequest(key=b"a", revision=2))

    run(scenario())


def test_a_turn_makes_one_large_answer_and_none_for_who_is_put_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            await desk.answer(desk.put(b"large", bytes(ANSWERED_BYTES_MAX + 1)))
            put_off: set[int] = set()
            desk.service.is_put_off = put_off.__contains__
            tickets = [desk.range(RangeRequest(key=b"large")) for _ in range(4)]
            put_off.add(tickets[2])
            await desk.answer(tickets[3])

            assert [delivery for delivery in desk.deliveries if delivery[0] in tickets] == [
                [tickets[0]],
                [tickets[1]],
                [tickets[3]],
            ]
            assert tickets[2] not in desk.answers

    run(scenario())


def test_a_stop_answers_those_who_wait_behind_a_large_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as desk:
            await desk.answer(desk.put(b"large", bytes(ANSWERED_BYTES_MAX + 1)))
            tickets = [desk.range(RangeRequest(key=b"large")) for _ in range(3)]
            await desk.answer(tickets[0])
            desk.service.stop()

            assert {error_of(desk.answers[ticket][0]) for ticket in tickets[1:]} == {Stopped}

    run(scenario())
