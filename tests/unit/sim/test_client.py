"""Clients write down exactly what they were told, and do not know what they were not told."""

from __future__ import annotations

import random
from dataclasses import replace

from etcdpy.base.errors import Compacted, RequestTooLarge, Timeout
from etcdpy.sim.client import PATIENCE_SECONDS, Client
from etcdpy.sim.clock import Schedule
from etcdpy.sim.requests import OK, REFUSED, UNKNOWN, Compact, Operation, Put, Range, Request, Txn
from etcdpy.sim.trace import Trace
from etcdpy.state.apply.applier import Result
from etcdpy.state.mvcc.answer import Answer
from tests.unit.sim.worlds import CALM


def ask(answer: Result | None, request: Request, *, is_there: bool = True) -> Operation:
    schedule = Schedule()
    operations: list[Operation] = []

    def bring(member: int, operation: Operation) -> bool:
        if answer is not None:
            client.take_result(operation, answer)
        return is_there

    client = Client(
        0,
        schedule,
        Trace(schedule),
        random.Random(1),
        CALM,
        operations,
        ask=bring,
        choose_member=lambda rng: 1,
    )
    client.is_stopped = True
    operation = client.request(request)
    assert not client.is_idle
    schedule.run_until(PATIENCE_SECONDS + 1)
    assert client.is_idle and operations == [operation] and operation.returned is not None
    return operation


def test_outcomes() -> None:
    done = ask(Answer(7, b""), Put(b"k", b"v"))
    assert (done.outcome, done.revision, done.response) == (OK, 7, ("ok",))
    assert ask(Compacted(), Compact(1)).response == ("error", "Compacted")
    assert ask(Timeout(), Put(b"k", b"v")).outcome == UNKNOWN
    assert ask(RequestTooLarge(), Put(b"k", b"v")).outcome == REFUSED
    assert ask(None, Put(b"k", b"v")).outcome == UNKNOWN
    assert ask(None, Range(b"k"), is_there=False).outcome == REFUSED


def test_it_asks_for_all_kinds_and_every_value_is_new() -> None:
    schedule = Schedule()
    operations: list[Operation] = []

    def bring(member: int, operation: Operation) -> bool:
        return False

    client = Client(
        0,
        schedule,
        Trace(schedule),
        random.Random(1),
        replace(CALM, compaction_share=0.05),
        operations,
        ask=bring,
        choose_member=lambda rng: rng.choice((1, 2)),
    )
    client.start()
    schedule.run_until(60.0)
    kinds = {type(operation.request).__name__ for operation in operations}
    assert kinds == {"Put", "Delete", "Range", "Txn", "Compact"}
    values = [operation.request.value for operation in operations if isinstance(operation.request, Put)]
    assert len(values) == len(set(values)) > 20
    assert all(o.request.success for o in operations if isinstance(o.request, Txn))
    assert {operation.member for operation in operations} == {1, 2}
