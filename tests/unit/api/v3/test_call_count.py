"""Calls in process that are a client's are counted as those over a socket."""

from __future__ import annotations

import asyncio

import pytest

from etcdpy.api.v3.call_count import CallCount
from etcdpy.api.v3.local import LocalMethods
from etcdpy.base.errors import CANCELED, OK, UNAVAILABLE, EtcdError, NoLeader
from etcdpy.transport.grpc.call import Call, StreamHandler
from etcdpy.transport.http2._nghttp2 import StreamMethod, UnaryMethod
from tests.unit.api.v3.fake_call import FakeCall
from tests.unit.api.v3.test_local import Recorder, Streams, refuse
from tests.unit.server.spine import run, until

ORIGIN = FakeCall(metadata={b"client-api-version": b"3.5"})


def shown(method: UnaryMethod | StreamMethod) -> tuple[int, int, int, int, int, dict[int, int]]:
    """Return begun; received, sent; their bytes; ended by code."""
    return (
        method.started,
        method.messages_received,
        method.messages_sent,
        method.bytes_received,
        method.bytes_sent,
        method.handled,
    )


def test_unary_calls() -> None:
    async def scenario() -> None:
        echo = UnaryMethod(lambda call: call.respond([call.message, b"!"]))
        failing = UnaryMethod(refuse)
        hanging = UnaryMethod(lambda call: None)
        took: list[float] = []
        echo.observe = took.append
        local = LocalMethods({b"/a.B/C": echo, b"/a.B/F": failing, b"/a.B/H": hanging}, are_counted=True)
        for _ in range(2):
            await local.unary(b"/a.B/C", b"hello", ORIGIN)
        with pytest.raises(EtcdError):
            await local.unary(b"/a.B/F", b"", FakeCall())
        waiting = asyncio.ensure_future(local.unary(b"/a.B/H", b"q", ORIGIN))
        await until(lambda: hanging.started == 1)
        waiting.cancel()
        await asyncio.wait({waiting})

        assert shown(echo) == (2, 2, 2, 10, 12, {OK: 2})
        assert shown(failing) == (1, 1, 0, 0, 0, {UNAVAILABLE: 1})
        assert shown(hanging) == (1, 1, 0, 1, 0, {CANCELED: 1})
        assert (echo.client_versions, failing.client_versions) == ({b"3.5": 2}, {None: 1})
        assert len(took) == 2

    run(scenario())


def test_streams() -> None:
    async def scenario() -> None:
        streams = Streams()
        method = StreamMethod(streams.open)
        local = LocalMethods({b"/a.B/S": method}, are_counted=True)
        with local.open(b"/a.B/S", ORIGIN) as stream:
            await stream.send(b"12")
            streams.opened[0].call.write(b"345")
            streams.opened[0].call.write(b"6")
            streams.opened[0].call.finish()
            streams.opened[0].call.finish(UNAVAILABLE, "late")
        assert shown(method) == (1, 1, 2, 2, 4, {OK: 1})
        with local.open(b"/a.B/S", ORIGIN):
            pass  # whoever leaves cancels
        assert method.handled == {OK: 1, CANCELED: 1}

        def open_refused(call: Call) -> StreamHandler:
            raise NoLeader

        method.handler = open_refused
        with pytest.raises(NoLeader):
            local.open(b"/a.B/S", ORIGIN)
        assert (method.started, method.handled) == (3, {OK: 1, CANCELED: 1, UNAVAILABLE: 1})

    run(scenario())


def test_calls_of_the_server_itself_are_not_counted() -> None:
    async def scenario() -> None:
        method = StreamMethod(Recorder)
        with LocalMethods({b"/a.B/S": method}).open(b"/a.B/S", ORIGIN) as stream:
            await stream.send(b"1")
        assert shown(method) == (0, 0, 0, 0, 0, {})
        CallCount(None).ended(OK)

    run(scenario())
