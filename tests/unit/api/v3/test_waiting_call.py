"""Calls that may wait: a task each, which ends with the call."""

from __future__ import annotations

import asyncio
from typing import Any

from etcdpy.api.v3.waiting_call import WaitingCall, server_stream, unary_that_waits
from etcdpy.base.errors import INTERNAL, UNKNOWN, EtcdError
from etcdpy.pb import v3lock_pb2
from etcdpy.server.tasks import TaskOwner
from etcdpy.transport.grpc.call import Call
from tests.unit.api.v3.fake_call import FakeCall
from tests.unit.server.spine import run, until

parse = v3lock_pb2.LockRequest.FromString
REQUEST = v3lock_pb2.LockRequest(name=b"l").SerializeToString()


def fail(error: BaseException) -> None:
    raise AssertionError(error)


def test_an_answer_ends_the_call() -> None:
    async def answer(call: Call, request: Any) -> bytes:
        await asyncio.sleep(0)
        return bytes(request.name)

    async def scenario() -> None:
        call = FakeCall()
        handler = unary_that_waits(TaskOwner(fail), parse, answer)(call)
        handler.on_message(REQUEST)
        handler.on_message(REQUEST)  # a second request is none
        handler.on_end()
        await until(lambda: call.status is not None)
        assert (call.status, call.written) == ((0, ""), [b"l"])

    run(scenario())


def test_an_error_is_the_calls_status() -> None:
    async def answer(call: Call, request: Any) -> bytes:
        raise EtcdError("no", UNKNOWN)

    async def scenario() -> None:
        call = FakeCall()
        unary_that_waits(TaskOwner(fail), parse, answer)(call).on_message(REQUEST)
        await until(lambda: call.status is not None)
        assert call.status == (UNKNOWN, "no")

    run(scenario())


def test_what_is_no_request_is_refused() -> None:
    async def answer(call: Call, request: Any) -> bytes:
        raise AssertionError("not reached")

    async def scenario() -> None:
        bad, none = FakeCall(), FakeCall()
        opened = unary_that_waits(TaskOwner(fail), parse, answer)
        opened(bad).on_message(b"\x0a\xff")
        opened(none).on_end()
        assert bad.status is not None and bad.status[0] == INTERNAL
        assert none.status == (UNKNOWN, "EOF")

    run(scenario())


def test_the_task_is_cancelled_when_the_client_goes_away() -> None:
    ends: list[str] = []

    async def answer(call: Call, request: Any) -> bytes:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise
        return b""

    async def scenario() -> None:
        call = FakeCall()
        handler = unary_that_waits(TaskOwner(fail), parse, answer)(call)
        handler.on_message(REQUEST)
        await asyncio.sleep(0)
        call.closed = True
        handler.on_close(8)
        await until(lambda: bool(ends))
        assert call.status is None

    run(scenario())


def test_a_stream_waits_for_its_reader() -> None:
    async def work(waiting: WaitingCall, request: Any) -> None:
        for number in range(3):
            await waiting.write(b"%d" % number)

    async def scenario() -> None:
        call = FakeCall(room=1)
        handler = server_stream(TaskOwner(fail), parse, work)(call)
        handler.on_message(REQUEST)
        for _ in range(5):
            await asyncio.sleep(0)
        assert call.take() == [b"0"]
        call.room = 10
        handler.on_drain()
        await until(lambda: call.status is not None)
        assert call.take() == [b"1", b"2"]

    run(scenario())
