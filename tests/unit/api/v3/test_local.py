"""Calls in process: a handler cannot tell them from those of the wire."""

from __future__ import annotations

import asyncio

import pytest

from etcdpy.api.v3.local import HIGH_MARK_BYTES, LocalMethods
from etcdpy.base.errors import UNAVAILABLE, UNIMPLEMENTED, EtcdError, NoLeader
from etcdpy.transport.grpc.call import Call
from etcdpy.transport.http2._nghttp2 import StreamMethod, UnaryMethod
from tests.unit.api.v3.fake_call import FakeCall
from tests.unit.server.spine import run, until

ORIGIN = FakeCall(metadata={b"token": b"me"})


class Recorder:
    """A stream's handler that notes what happens to it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.events: list[object] = []

    def on_message(self, message: bytes, /) -> None:
        self.events.append(message)

    def on_end(self) -> None:
        self.events.append("end")

    def on_close(self, error: int, /) -> None:
        self.events.append(error)

    def on_drain(self) -> None:
        self.events.append("drain")


class Streams:
    def __init__(self) -> None:
        self.opened: list[Recorder] = []

    def open(self, call: Call) -> Recorder:
        self.opened.append(Recorder(call))
        return self.opened[-1]


def answer_with_token(call: Call) -> None:
    call.respond([call.message, call.metadata(b"token") or b"", call.peer.encode()])


def refuse(call: Call) -> None:
    call.fail(NoLeader.code, NoLeader.text)


def methods(streams: Streams | None = None) -> LocalMethods:
    table: dict[bytes, UnaryMethod | StreamMethod] = {
        b"/a.B/C": UnaryMethod(answer_with_token),
        b"/a.B/No": UnaryMethod(refuse),
    }
    if streams is not None:
        table[b"/a.B/S"] = StreamMethod(streams.open)
    return LocalMethods(table)


def test_a_unary_call_is_answered_as_its_origin() -> None:
    assert run(methods().unary(b"/a.B/C", b"hello ", ORIGIN)) == b"hello me" + ORIGIN.peer.encode()


def test_refusals_are_raised() -> None:
    with pytest.raises(EtcdError, match="etcdserver: no leader") as caught:
        run(methods().unary(b"/a.B/No", b"", ORIGIN))
    assert caught.value.code == NoLeader.code

    with pytest.raises(EtcdError, match="unknown method X for service a.B") as caught:
        run(methods().unary(b"/a.B/X", b"", ORIGIN))
    assert caught.value.code == UNIMPLEMENTED


def test_messages_go_both_ways_and_the_end_is_told_once() -> None:
    async def scenario() -> None:
        streams = Streams()
        with methods(streams).open(b"/a.B/S", ORIGIN) as stream:
            await stream.send(b"1")
            stream.end()
            handler = streams.opened[0]
            handler.call.write(b"one")
            handler.call.finish()
            assert await stream.receive() == b"one"
            assert await stream.receive() is None
        stream.cancel()
        assert handler.events == [b"1", "end", 0]

    run(scenario())


def test_leaving_a_stream_cancels_the_call() -> None:
    async def scenario() -> None:
        streams = Streams()
        with methods(streams).open(b"/a.B/S", ORIGIN):
            pass
        handler = streams.opened[0]
        assert handler.events == [8]
        assert handler.call.closed and not handler.call.write(b"late")

    run(scenario())


def test_a_unary_call_of_a_waiting_method_is_cancelled_with_its_caller() -> None:
    async def scenario() -> None:
        streams = Streams()
        waiting = asyncio.ensure_future(methods(streams).unary(b"/a.B/S", b"q", ORIGIN))
        await until(lambda: bool(streams.opened and streams.opened[0].events))
        waiting.cancel()
        await asyncio.wait({waiting})
        assert streams.opened[0].events == [b"q", "end", 8]

    run(scenario())


def test_a_handler_that_is_ahead_of_its_reader_is_told_so() -> None:
    async def scenario() -> None:
        streams = Streams()
        with methods(streams).open(b"/a.B/S", ORIGIN) as stream:
            handler = streams.opened[0]
            assert handler.call.write(b"x" * HIGH_MARK_BYTES)
            assert not handler.call.write(b"y")
            await stream.receive()
            assert handler.events == []
            await stream.receive()
            assert handler.events == ["drain"]

    run(scenario())


def test_a_sender_waits_for_a_handler_that_does_not_read() -> None:
    async def scenario() -> None:
        streams = Streams()
        with methods(streams).open(b"/a.B/S", ORIGIN) as stream:
            handler = streams.opened[0]
            handler.call.pause_reading()
            sending = asyncio.ensure_future(stream.send(b"1"))
            await asyncio.sleep(0)
            assert handler.events == [] and not sending.done()
            handler.call.resume_reading()
            await sending
            assert handler.events == [b"1"]

    run(scenario())


def test_all_streams_can_be_ended_with_a_status() -> None:
    async def scenario() -> None:
        streams = Streams()
        local = methods(streams)
        with local.open(b"/a.B/S", ORIGIN) as stream:
            local.end_calls(UNAVAILABLE, "stopped")
            with pytest.raises(EtcdError, match="stopped"):
                await stream.receive()
        local.end_calls(UNAVAILABLE, "nobody is left")
        assert streams.opened[0].events == [0]

    run(scenario())
