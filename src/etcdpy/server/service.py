"""The service: requests in, answers out, as plain values (design sections 4 and 8).

    submit(ticket, kind, request, body)  ...  deliver([(ticket, Answer | EtcdError), ...])

A ticket is the caller's own number; it comes back with the answer, once. Answers of one turn are delivered together. No
object of the transport comes in here and nothing that goes out is bound to this process: a front end in another
process could stand on the other side. Tickets below zero are the service's own: `call` awaits them.

A caller is given with what clients ask while authentication is on. Permissions of what is proposed are checked where it
is applied, those of reads here, when they are answered.

What may be refused before anything is proposed: too large, too many in flight, no space (facts 1.4). A request that
was proposed and is not applied within the timeout is answered `request timed out`: its outcome is then unknown. One
that waited for a leader so long is taken back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from etcdpy.base.errors import (
    AuthOldRevision,
    EtcdError,
    InvalidAuthToken,
    NoSpace,
    RequestTooLarge,
    RequestTooManyRequests,
    Stopped,
    Timeout,
)
from etcdpy.base.ids import RequestIdGenerator
from etcdpy.pb import rpc_pb2
from etcdpy.pb.raft_values import ENTRY_NORMAL, Entry
from etcdpy.server.loop import MemberLoop
from etcdpy.server.member import Member
from etcdpy.server.quota import Quota
from etcdpy.server.reads import Read, ReadQueue
from etcdpy.server.sliced_reads import SlicedReads, Steps, is_always_wanted, is_never_put_off
from etcdpy.server.slow_reads import SlowReads
from etcdpy.server.timeouts import NeverProposed, TimeoutReasons
from etcdpy.state.alarm import NOSPACE, AlarmStore
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.applier import Result
from etcdpy.state.apply.caller import NOBODY as NO_CALLER
from etcdpy.state.apply.caller import Caller
from etcdpy.state.apply.proposal import InternalEncoder, Proposal, encode_v2_put
from etcdpy.state.auth.checks import Permissions
from etcdpy.state.mvcc.answer import Answer
from etcdpy.state.mvcc.range_query import SLICE_BYTES
from etcdpy.state.mvcc.store import Store
from etcdpy.state.mvcc.txn_plan import TxnPlan

# Upstream's maxGapBetweenApplyAndCommitIndex: committed entries that wait to be applied.
UNAPPLIED_ENTRIES_MAX: Final = 5000
# Upstream's readIndexRetryTime: a round without an answer is lost, or its leader is.
READ_RETRY_SECONDS: Final = 0.5
# A read that only wants to know that everything before it is applied.
READ_INDEX: Final = 0
# Answers to reads that one turn makes, the last one not counted.
ANSWERED_BYTES_MAX: Final = 1 << 20
# Proposals of the server itself (lease expiry, alarms): nobody waits for them.
NOBODY: Final = 0

Deliver = Callable[[Sequence[tuple[int, Result]]], None]


class Observer(Protocol):
    """Parts of the server that follow what is applied: watches, compaction, snapshots, publishing."""

    def on_applied(self, results: list[tuple[int, Result | None]]) -> None: ...

    def before_answers(self) -> None:
        """The answers of this turn leave now: what is said here leaves with them."""

    def on_turn_end(self, applied_index: int) -> None: ...

    def on_leader_change(self, leader_id: int, *, is_self: bool) -> None: ...

    def on_conf_change(self, entry: Entry) -> None: ...

    def on_failure(self, error: BaseException) -> None: ...


class Service:
    """Waiters of one member. Implements `server.loop.Consumer`."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        driver: MemberLoop,
        member: Member,
        store: Store,
        quota: Quota,
        alarms: AlarmStore,
        request_ids: RequestIdGenerator,
        member_id: int,
        request_bytes_max: int,
        timeout_seconds: float,
        permissions: Permissions | None = None,
    ) -> None:
        """Without `permissions` everybody may read."""
        self._loop = loop
        self._driver = driver
        self._member = member
        self._store = store
        self._quota = quota
        self._alarms = alarms
        self._ids = request_ids
        self._member_id = member_id
        self._request_bytes_max = request_bytes_max
        self._timeout_seconds = timeout_seconds
        self._permissions = permissions
        self._encoder = InternalEncoder()
        self._encode = self._encoder.encode
        self._waiting: dict[int, int] = {}  # request id -> ticket, oldest first
        # (when the requests came at the earliest, deadline, newest request id of theirs), oldest first
        self._deadlines: list[tuple[float, float, int]] = []
        self._looked_at = loop.time()  # for what waits too long
        self._reads = ReadQueue()
        self._unserved: list[Read] = []  # reads that may be answered, in the next turn
        self._sliced = SlicedReads(
            lambda step: loop.call_soon(driver.guard, step),
            lambda ticket, result: self._hand_out([(ticket, result)]),
            lambda ticket: self.is_wanted(ticket),
            lambda ticket: self.is_put_off(ticket),
        )
        self._futures: dict[int, asyncio.Future[Answer]] = {}
        self._next_own_ticket = -1
        self._rising: set[int] = set()  # alarms of ours that are proposed, and neither applied nor given up
        self._is_stopped = False
        self.deliver: Deliver = _nobody_listens
        # Called before the first answer of a turn and after the last: what was delivered then leaves, all at once.
        self.cork: Callable[[], None] = _nothing_to_send
        self.flush: Callable[[], None] = _nothing_to_send
        self.is_wanted: Callable[[int], bool] = is_always_wanted  # whether somebody still waits for a ticket's answer
        # Whether nobody takes a read's answer now, so that it must not be made; the ticket is then forgotten.
        self.is_put_off: Callable[[int], bool] = is_never_put_off
        self.observer: Observer | None = None
        self.timeout_reasons: TimeoutReasons | None = None  # with others in the cluster
        self.slow_reads: SlowReads | None = None  # None: nobody wants to know
        self.proposals_failed = 0
        self.read_indexes_failed = 0

    # -- requests

    def submit(self, ticket: int, kind: int, request: Any, body: bytes, caller: Caller | None = None) -> None:
        """Propose a request; `body` is its serialized form. The answer, or the refusal, is delivered with `ticket`."""
        try:
            self._propose(ticket, kind, request, body, caller)
        except EtcdError as error:
            self._hand_out([(ticket, error)])

    def _propose(
        self, ticket: int, kind: int, request: Any, body: bytes, caller: Caller | None, *, as_leader: bool = False
    ) -> None:
        member = self._member
        if self._is_stopped:
            raise Stopped
        if member.committed_index - member.applied_index > UNAPPLIED_ENTRIES_MAX:
            raise RequestTooManyRequests
        if not self._quota.has_room_for(kind, request, len(body)):
            if not self._alarms.is_raised(NOSPACE):
                self.raise_alarm(NOSPACE)
            raise NoSpace
        request_id = self._ids.next_id()
        if caller is None:
            data, proposal = self._encode(kind, request_id, body), Proposal(kind, request_id, request)
        else:
            if not caller.is_valid:
                raise InvalidAuthToken
            data = self._encoder.encode_for(caller, kind, request_id, body)
            proposal = Proposal(kind, request_id, request, caller)
        if len(data) > self._request_bytes_max:
            raise RequestTooLarge
        if ticket != NOBODY:
            self._waiting[request_id] = ticket
        entry = Entry(0, 0, ENTRY_NORMAL, data, proposal)
        if as_leader:
            self._driver.propose_as_leader(entry)
        else:
            self._driver.propose(entry)

    def submit_range(self, ticket: int, request: rpc_pb2.RangeRequest, caller: Caller | None = None) -> None:
        """Read keys; linearizable unless the request says serializable."""
        if request.serializable and not self._is_stopped:  # after a failure, what is in memory may be more than is so
            self._serve([Read(ticket, kinds.RANGE, request, caller)])
        else:
            self._read(Read(ticket, kinds.RANGE, request, caller))

    def submit_readonly_txn(
        self, ticket: int, plan: TxnPlan, *, serializable: bool, caller: Caller | None = None
    ) -> None:
        """Run a transaction that writes nothing; it never enters the log."""
        if serializable and not self._is_stopped:
            self._serve([Read(ticket, kinds.TXN, plan, caller)])
        else:
            self._read(Read(ticket, kinds.TXN, plan, caller))

    def range_now(self, request: rpc_pb2.RangeRequest) -> Answer:
        """Return what this member holds, which may be old, for the member itself. Raise EtcdError."""
        return self._store.range(request)

    def propose_v2_put(self, path: str, value: str) -> asyncio.Future[Answer]:
        """Publish something as a 3.5 member does, by a bare v2 request."""
        ticket, future = self._own_ticket()
        request_id = self._ids.next_id()
        self._waiting[request_id] = ticket
        self._driver.propose(Entry(0, 0, ENTRY_NORMAL, encode_v2_put(request_id, path, value)))
        return future

    def propose_unattended(self, kind: int, request: Any) -> None:
        """Propose something of the server's own; nobody waits for what becomes of it."""
        self.submit(NOBODY, kind, request, request.SerializeToString(), self._own_caller())

    def raise_alarm(self, alarm: int) -> None:
        """Propose an alarm of this member's. While one is on its way, or waits for a leader, there is no second one."""
        if alarm in self._rising:
            return
        self._rising.add(alarm)
        request = rpc_pb2.AlarmRequest(
            action=rpc_pb2.AlarmRequest.ACTIVATE,
            memberID=self._member_id,
            alarm=alarm,  # type: ignore[arg-type]
        )
        ticket, future = self._own_ticket()

        def over(_: asyncio.Future[Answer]) -> None:
            self._rising.discard(alarm)
            if not future.cancelled():
                future.exception()  # whoever is refused next raises it again

        future.add_done_callback(over)
        self.submit(ticket, kinds.ALARM, request, request.SerializeToString(), self._own_caller())

    # -- the async facade

    async def call(self, kind: int, request: Any, caller: Caller | None = None) -> Answer:
        """Propose `request` and wait for its answer. Raise EtcdError."""
        ticket, future = self._own_ticket()
        self.submit(ticket, kind, request, request.SerializeToString(), caller)
        return await future

    async def call_as_leader(self, kind: int, request: Any) -> Answer:
        """Propose what only a leader may, unless another term has begun by then; otherwise as `call`."""
        ticket, future = self._own_ticket()
        try:
            self._propose(ticket, kind, request, request.SerializeToString(), self._own_caller(), as_leader=True)
        except EtcdError as error:
            self._hand_out([(ticket, error)])
        return await future

    async def wait_linearizable(self) -> Answer:
        """Wait until everything committed before this call is applied here. Raise EtcdError."""
        ticket, future = self._own_ticket()
        self._read(Read(ticket, READ_INDEX, None, None))
        return await future

    def _own_caller(self) -> Caller | None:
        """What the member itself proposes, it proposes as root."""
        return None if self._permissions is None else self._permissions.auth.own_caller

    def _own_ticket(self) -> tuple[int, asyncio.Future[Answer]]:
        ticket = self._next_own_ticket
        self._next_own_ticket -= 1
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._futures[ticket] = future
        return ticket, future

    # -- reads

    def _read(self, read: Read) -> None:
        if self._is_stopped:
            self._hand_out([(read.ticket, Stopped())])
        elif self._reads.add(read):
            self._driver.schedule()

    def _serve(self, reads: list[Read]) -> list[tuple[int, Result]]:
        """Answer reads from what is applied now, and return what they are told; large ones go on in slices.

        When the answers of a turn have grown large, the other reads wait for the next turn: others want to be served
        meanwhile, and who does not read what he got gets no more.
        """
        answers: list[tuple[int, Result]] = []
        size = 0
        for at, read in enumerate(reads):
            if self.is_put_off(read.ticket):
                continue
            result = self._answer_read(read)
            if result is None:
                size += SLICE_BYTES  # what was read to find out, at most
            else:
                answers.append((read.ticket, result))
                if not isinstance(result, EtcdError):
                    size += result.size
            if size > ANSWERED_BYTES_MAX:
                self._serve_later(reads[at + 1 :])
                break
        if answers:
            self._hand_out(answers)
        return answers

    def _serve_ready(self, reads: list[Read], slow: SlowReads) -> None:
        """Answer reads whose round is through, and look at the clock once for all of them."""
        waited = self._loop.time() - self._reads.ready_since
        began = time.perf_counter()
        answers = self._serve(reads)
        seconds = waited + time.perf_counter() - began
        if seconds > slow.slow_seconds:
            slow.tell(reads, dict(answers), seconds)

    def _serve_later(self, reads: list[Read]) -> None:
        if reads and not self._unserved:
            self._loop.call_soon(self._driver.guard, self._serve_rest)
        self._unserved += reads

    def _serve_rest(self) -> None:
        reads, self._unserved = self._unserved, []
        self._serve(reads)

    def _answer_read(self, read: Read) -> Result | None:
        store, request = self._store, read.request
        try:
            if self._permissions is not None and self._permissions.auth.is_enabled and read.kind != READ_INDEX:
                self._check_read(read)
            if read.kind == kinds.RANGE:
                if not request.range_end:
                    return store.range(request)
                answer = None if store.is_large(request) else store.range_if_small(request)
                if answer is None:
                    self._sliced.start(read.ticket, self._watch_large(self._read_large(read), read))
                return answer
            if read.kind == kinds.TXN:
                return store.apply_txn(request)
            return Answer(store.current_revision, b"")
        except EtcdError as error:
            return error

    def _check_read(self, read: Read) -> None:
        assert self._permissions is not None
        caller = NO_CALLER if read.caller is None else read.caller
        if not caller.is_valid:
            raise InvalidAuthToken
        self._permissions.check_request(read.kind, read.request, caller)

    def _watch_large(self, steps: Steps, read: Read) -> Steps:
        """Tell when all its slices together took too long."""
        slow, began = self.slow_reads, self._loop.time()
        try:
            result: Result = yield from steps
        except EtcdError as error:
            result = error
        if slow is not None and self._loop.time() - began > slow.slow_seconds:
            slow.tell_one(read, result, self._loop.time() - began)
        if isinstance(result, EtcdError):
            raise result
        return result

    def _read_large(self, read: Read) -> Steps:
        """Look at the revision once more after a read that took a while: what was permitted then may not be now."""
        answer = yield from self._store.range_steps(read.request)
        caller = read.caller
        if self._permissions is not None and caller is not None and caller.revision:
            if caller.revision != self._permissions.auth.revision:
                raise AuthOldRevision
        return answer

    # -- what the loop tells (Consumer)

    def close_read_round(self) -> bytes | None:
        if not self._reads.wants_round:
            return None
        context, now = self._ids.next_id().to_bytes(8, "big"), self._loop.time()
        self._reads.start_round(context, now, now + self._timeout_seconds)
        return context

    @property
    def slow_read_indexes(self) -> int:
        return self._reads.late_answers

    def on_reads_confirmed(self, context: bytes, index: int) -> None:
        self._reads.confirm(context, index)
        if self._reads.wants_round:
            self._driver.schedule()

    def on_results(self, results: list[tuple[int, Result | None]]) -> None:
        self.cork()
        pop = self._waiting.pop
        answers: list[tuple[int, Result]] = []
        for request_id, result in results:
            ticket = pop(request_id, NOBODY)
            if ticket != NOBODY and result is not None:
                answers.append((ticket, result))
        if answers:
            self._hand_out(answers)
        if self.observer is not None:
            self.observer.on_applied(results)

    def on_turn_end(self, applied_index: int) -> None:
        reads = self._reads.take_ready(applied_index)
        if reads:
            self.cork()
            if self.slow_reads is None:
                self._serve(reads)
            else:
                self._serve_ready(reads, self.slow_reads)
        observer = self.observer
        if observer is not None:
            observer.before_answers()
        self.flush()
        if observer is not None:
            observer.on_turn_end(applied_index)

    def on_leader_change(self, leader_id: int, *, is_self: bool) -> None:
        now = self._loop.time()
        if self.timeout_reasons is not None:
            self.timeout_reasons.on_leader_change(leader_id, now)
        if leader_id:  # what the old one was asked is lost: the new one is asked
            self._reads.give_up_unanswered(now)
        if self.observer is not None:
            self.observer.on_leader_change(leader_id, is_self=is_self)

    def on_conf_change(self, entry: Entry) -> None:
        if self.observer is not None:
            self.observer.on_conf_change(entry)

    def on_failure(self, error: BaseException) -> None:
        """Nothing that was not answered by now ever is: its outcome is unknown, so silence is the honest answer."""
        self._is_stopped = True
        if self.observer is not None:
            self.observer.on_failure(error)

    # -- time

    def expire(self, now: float) -> None:
        """Answer what waits too long; the owner calls this a few times a second."""
        expired: list[tuple[int, Result]] = []
        while self._deadlines and self._deadlines[0][1] <= now:
            began, deadline, newest = self._deadlines.pop(0)
            error = self._timeout_error(began, deadline - self._timeout_seconds)
            late = {known for known in self._waiting if known <= newest}
            never_proposed = self._driver.withdraw(late)
            for request_id in sorted(late):
                why = NeverProposed() if request_id in never_proposed else error
                expired.append((self._waiting.pop(request_id), why))
        if self._waiting:
            self._deadlines.append((self._looked_at, now + self._timeout_seconds, next(reversed(self._waiting))))
        self._looked_at = now
        self.proposals_failed += len(expired)
        self._reads.give_up_unanswered(now - READ_RETRY_SECONDS)
        if self._reads.wants_round:
            self._driver.schedule()
        reads = self._reads.take_expired(now, self._timeout_seconds)
        if reads:
            self.read_indexes_failed += 1
            expired += [(read.ticket, Timeout()) for read in reads]
        if expired:
            self._hand_out(expired)

    def _timeout_error(self, began: float, noticed: float) -> EtcdError:
        return Timeout() if self.timeout_reasons is None else self.timeout_reasons.find(began, noticed)

    @property
    def is_stopped(self) -> bool:
        """Whether nothing is taken any more."""
        return self._is_stopped

    @property
    def is_leader(self) -> bool:
        return self._member.is_leader

    @property
    def proposals_pending(self) -> int:
        return len(self._waiting)

    def stop(self) -> None:
        """Refuse what comes from now on and answer every waiter `server stopped`."""
        self._is_stopped = True
        waiting = list(self._waiting.values()) + [read.ticket for read in self._reads.take_all()]
        waiting += self._sliced.take_all() + [read.ticket for read in self._unserved]
        self._unserved = []
        self._waiting.clear()
        self._hand_out([(ticket, Stopped()) for ticket in waiting])

    # -- answers

    def _hand_out(self, answers: list[tuple[int, Result]]) -> None:
        if self._futures:
            answers = [answer for answer in answers if answer[0] > 0 or not self._resolve(*answer)]
        if answers:
            self.deliver(answers)

    def _resolve(self, ticket: int, result: Result) -> bool:
        """Settle one of our own; return whether it was ours."""
        future = self._futures.pop(ticket, None)
        if future is None:
            return ticket <= NOBODY
        if not future.done():
            if isinstance(result, EtcdError):
                future.set_exception(result)
            else:
                future.set_result(result)
        return True


def _nothing_to_send() -> None:
    """Before the API is wired."""


def _nobody_listens(answers: Sequence[tuple[int, Result]]) -> None:
    """Before the API is wired, and in tests of the service alone, answers with foreign tickets have nowhere to go."""
