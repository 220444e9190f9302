"""Between calls and tickets: every call is answered once, with its own answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from etcdpy.api.v3.dispatch import Dispatcher, refuse, unary
from etcdpy.api.v3.slow_calls import SlowCalls
from etcdpy.base.errors import EmptyKey, LeaseNotFound
from etcdpy.base.log import silent_logger
from etcdpy.pb.rpc_pb2 import PutRequest, PutResponse
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.mvcc.answer import Answer
from etcdpy.transport.grpc.call import Call
from tests.unit.api.v3.unary_call import Api, UnaryCall, open_api
from tests.unit.server.spine import run, until


def test_each_call_gets_its_own_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            calls = []
            for number in range(20):
                request = PutRequest(key=b"k", lease=77 if number % 5 == 0 else 0)
                call = UnaryCall(request.SerializeToString())
                api.dispatcher.propose(call, kinds.PUT, request, call.message)
                calls.append(call)
            await until(lambda: all(call.is_answered for call in calls))

            refused = [number for number, call in enumerate(calls) if call.status is not None]
            revisions = [
                PutResponse.FromString(call.response).header.revision for call in calls if call.response is not None
            ]
            assert refused == [0, 5, 10, 15]
            assert revisions == list(range(2, 18))
            assert api.dispatcher._calls == {}

    run(scenario())


def test_tickets_are_never_given_twice(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path, elect=False) as api:
            call = UnaryCall(b"")
            tickets = [api.dispatcher.take_ticket(call) for _ in range(5)]
            assert tickets == [1, 2, 3, 4, 5]
            api.dispatcher.deliver([(ticket, Answer(1, b"")) for ticket in tickets[:1]])
            assert api.dispatcher.take_ticket(UnaryCall(b"")) == 6
            api.dispatcher._calls.clear()

    run(scenario())


def test_what_took_long_is_told_before_it_is_answered(tmp_path: Path) -> None:
    class Told(SlowCalls):
        def __init__(self, api: Api) -> None:
            self.now = 0.0
            loop = asyncio.get_running_loop()
            super().__init__(
                silent_logger(),
                slow_seconds=1.0,
                call_later=lambda _, call: loop.call_soon(call),
                clock=lambda: self.now,
            )
            self.calls: list[tuple[bool, str, float]] = []

        def tell(self, call: Call, result: Any, seconds: float) -> None:
            assert isinstance(call, UnaryCall)
            self.calls.append((call.is_answered, type(result).__name__, seconds))

    async def scenario() -> None:
        async with open_api(tmp_path, elect=False) as api:
            slow = Told(api)
            dispatcher = Dispatcher(api.node.service, api.header, api.node.tasks, slow)
            first = dispatcher.take_ticket(UnaryCall(b""))
            await asyncio.sleep(0)  # another mark is due
            slow.now = 0.9
            second = dispatcher.take_ticket(UnaryCall(b""))
            slow.now = 1.5
            dispatcher.deliver([(first, Answer(1, b"")), (second, LeaseNotFound())])
            assert slow.calls == [(False, "Answer", 1.5)]

            gate = asyncio.Event()

            async def work() -> bytes:
                await gate.wait()
                return b"done"

            call = UnaryCall(b"")
            dispatcher.answer_later(call, work())
            slow.now = 4.0
            gate.set()
            await until(lambda: call.is_answered)
            assert slow.calls[1:] == [(False, "NoneType", 2.5)]

    run(scenario())


def test_work_that_takes_time_is_answered_when_it_is_done(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path, elect=False) as api:
            gate = asyncio.Event()

            async def work() -> bytes:
                await gate.wait()
                return b"done"

            async def fail() -> bytes:
                raise LeaseNotFound

            slow, failing = UnaryCall(b""), UnaryCall(b"")
            api.dispatcher.answer_later(slow, work())
            api.dispatcher.answer_later(failing, fail())
            await until(lambda: failing.is_answered)
            assert not slow.is_answered
            gate.set()
            await until(lambda: slow.is_answered)

            assert slow.response == b"done"
            assert failing.status == (5, "etcdserver: requested lease not found")

    run(scenario())


def test_work_that_breaks_ends_the_member(tmp_path: Path) -> None:
    """It is our own bug, and nothing of the member's is a call's private matter."""

    async def scenario() -> None:
        async with open_api(tmp_path, elect=False) as api:

            async def broken() -> bytes:
                raise ZeroDivisionError

            api.dispatcher.answer_later(UnaryCall(b""), broken())
            await until(lambda: api.node.driver.has_failed)

            assert isinstance(await api.node.housekeeper.fatal, ZeroDivisionError)

    run(scenario())


def test_a_refusal_carries_code_and_text() -> None:
    call = UnaryCall(b"")
    refuse(call, EmptyKey())

    assert call.status == (3, "etcdserver: key is not provided")


def test_bytes_that_are_no_request_are_refused_as_grpc_does() -> None:
    call = UnaryCall(b"\xff")
    unary(PutRequest.FromString, lambda call, request: None)(call)

    assert call.status is not None
    assert call.status[0] == 13 and call.status[1].startswith("grpc: error unmarshalling request: ")


def test_what_a_handler_raises_is_the_answer() -> None:
    def handle(call: object, request: object) -> None:
        raise EmptyKey

    call = UnaryCall(b"")
    unary(PutRequest.FromString, handle)(call)

    assert call.status == (3, "etcdserver: key is not provided")
