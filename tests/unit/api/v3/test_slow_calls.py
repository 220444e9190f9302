"""Slow calls are found by the numbers of their tickets, and told as etcd tells them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from etcdpy.api.v3.slow_calls import MARKS_MAX, NO_STATS, SlowCalls, Stats, stats_of
from etcdpy.base.errors import KeyNotFound
from etcdpy.base.log import DEBUG, logger_to
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.state.mvcc.answer import Answer
from tests.unit.api.v3.fake_call import FakeCall
from tests.unit.server.membership_world import Lines, logger_with

LIMIT = 0.3


class Desk:
    """Hands out tickets and marks them as the dispatcher does, under a clock of its own."""

    def __init__(self, lines: Lines | None = None, *, slow_seconds: float = LIMIT) -> None:
        self.now = 100.0
        self._due: list[tuple[float, Callable[[], None]]] = []
        log = logger_with(lines or Lines())
        log.setLevel(DEBUG + 1)
        self.slow = SlowCalls(
            log,
            slow_seconds=slow_seconds,
            call_later=lambda seconds, call: self._due.append((self.now + seconds, call)),
            clock=lambda: self.now,
        )
        self.next_ticket = 1
        self.waiting: dict[int, float] = {}
        self._is_marked = False

    def take(self) -> int:
        ticket = self.next_ticket
        self.next_ticket += 1
        self.waiting[ticket] = self.now
        if not self._is_marked:
            self._is_marked = True
            self.slow.mark(ticket, self._want_mark)
        return ticket

    def _want_mark(self) -> None:
        self._is_marked = False

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due, self._due = [call for at, call in self._due if at <= self.now], [d for d in self._due if d[0] > self.now]
        for call in due:
            call()

    def answer(self, tickets: list[int]) -> list[int]:
        """Return those that are called slow."""
        slow_below = 0
        if self.slow.has_old_marks():
            slow_below = self.slow.find_slow(oldest=min(self.waiting), newest=self.next_ticket - 1)
        for ticket in tickets:
            del self.waiting[ticket]
        return [ticket for ticket in tickets if ticket < slow_below]


@pytest.mark.parametrize("seed", range(10))
def test_who_waited_longer_than_the_limit_is_found_and_nobody_else(seed: int) -> None:
    """Within a tenth of the limit; whoever waited shorter than nine tenths of it is never called slow."""
    rng = random.Random(seed)
    desk = Desk()
    for _ in range(400):
        desk.pass_time(rng.choice((0.0, 0.001, 0.02, 0.2)))
        for _ in range(rng.randrange(4)):
            desk.take()
        some = sorted(rng.sample(sorted(desk.waiting), rng.randrange(len(desk.waiting) + 1)))
        if not some:
            continue
        waited = {ticket: desk.now - desk.waiting[ticket] for ticket in some}
        told = {ticket: desk.slow.seconds_of(ticket) for ticket in some}
        slow = desk.answer(some)
        assert {ticket for ticket in some if waited[ticket] > LIMIT} <= set(slow)
        assert all(waited[ticket] > LIMIT * 0.9 - 1e-9 for ticket in slow)
        assert all(waited[t] - 1e-9 <= told[t] <= waited[t] + LIMIT / 10 + 1e-9 for t in slow)


def test_one_after_an_idle_while_is_not_slow() -> None:
    desk = Desk()
    desk.answer([desk.take()])
    desk.pass_time(60.0)
    assert desk.answer([desk.take()]) == []


def test_one_that_comes_just_after_all_were_answered_is_found() -> None:
    desk = Desk()
    first = desk.take()
    desk.pass_time(0.4)
    second = desk.take()
    assert desk.answer([first, second]) == [first]
    third = desk.take()  # no mark of its own yet
    desk.pass_time(0.4)
    assert desk.answer([third]) == [third]


def test_marks_do_not_grow_without_end() -> None:
    desk = Desk(slow_seconds=1e-9)
    oldest = desk.take()
    for _ in range(3 * MARKS_MAX):
        desk.pass_time(0.01)
        ticket = desk.take()
        desk.answer([ticket])
    assert len(desk.slow._marks) <= MARKS_MAX
    assert desk.answer([oldest]) == [oldest]


def test_what_is_said() -> None:
    lines = Lines()
    call = FakeCall()
    call.path, call.message = b"/etcdserverpb.KV/Put", pb.PutRequest(key=b"k", value=b"secret").SerializeToString()
    Desk(lines).slow.tell(call, Answer(2, b"12"), 0.5)
    (line,) = lines.lines
    assert line.pop("start time")
    assert line == {
        "level": "warn",
        "msg": "request stats",
        "time spent": "500ms",
        "remote": "127.0.0.1:1",
        "response type": "/etcdserverpb.KV/Put",
        "request count": 1,
        "request size": 11,
        "response count": 0,
        "response size": 2,
        "request content": 'key:"k" value_size:6 ',
    }


def test_with_debugging_on_every_call_is_told_and_is_no_warning() -> None:
    class Output:
        def __init__(self) -> None:
            self.lines: list[bytes] = []

        def write(self, line: bytes) -> None:
            self.lines.append(line)

        def close(self) -> None:
            pass

    output = Output()
    log = logger_to(output, "debug")
    slow = SlowCalls(log, slow_seconds=LIMIT, call_later=lambda seconds, call: None)
    assert slow.is_slow(0.000001)
    slow.tell(FakeCall(), None, 0.000001)
    for handler in log.handlers:
        handler.close()
    assert len(output.lines) == 1 and b'"level":"debug"' in output.lines[0]


def test_numbers_of_each_kind() -> None:
    get, put = pb.RangeRequest(key=b"a"), pb.PutRequest(key=b"a", value=b"v")
    found = pb.RangeResponse(count=7).SerializeToString()
    txn = pb.TxnRequest(
        success=[pb.RequestOp(request_put=put), pb.RequestOp(request_range=get)],
        failure=[pb.RequestOp(request_range=get)],
    )
    failed, succeeded = (pb.TxnResponse(succeeded=done).SerializeToString() for done in (False, True))
    wanted = get.SerializeToString()

    assert stats_of(b"/etcdserverpb.KV/Range", wanted, Answer(1, found)) == Stats(0, 3, 7, 2, 'key:"a" ')
    assert stats_of(b"/etcdserverpb.KV/Range", wanted, KeyNotFound()) == Stats(0, 3, 0, 0, 'key:"a" ')
    deleted = pb.DeleteRangeResponse(deleted=3).SerializeToString()
    assert stats_of(b"/etcdserverpb.KV/DeleteRange", wanted, Answer(1, deleted))[:4] == (0, 3, 3, 2)
    message = txn.SerializeToString()
    assert stats_of(b"/etcdserverpb.KV/Txn", message, Answer(1, succeeded))[:4] == (2, 8 + 5, 0, 2)
    assert stats_of(b"/etcdserverpb.KV/Txn", message, Answer(1, failed))[:4] == (1, 5, 0, 0)
    assert stats_of(b"/etcdserverpb.KV/Txn", message, KeyNotFound()) == Stats(0, 0, 0, 0, "")
    assert stats_of(b"/etcdserverpb.KV/Range", b"\xff", KeyNotFound()) == NO_STATS
    assert stats_of(b"/etcdserverpb.Maintenance/Hash", b"", None) == NO_STATS
