"""No connection decides by what it sends how long others wait: turns, calls put off, offences, unread answers."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

from etcdpy.base.errors import RESOURCE_EXHAUSTED
from etcdpy.transport.grpc import Call, StreamMethod, UnaryMethod
from etcdpy.transport.http2._nghttp2 import Endpoint, Session, monotonic
from tests.e2e.attacks.floods import gzip_bombs, half_sent_uploads, huge_lengths, requests
from tests.unit.transport import wire
from tests.unit.transport.pair import Pair, ServerHooks, Wire

PATH = b"/s/Unary"
SLOW_SECONDS = 0.005  # longer than a turn


class Hooks(ServerHooks):
    def inflate(self, call: Any, data: bytes) -> None:
        call.fail(RESOURCE_EXHAUSTED, "a bomb")


class Turns:
    """An event loop of which every turn is a call."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.due.append(callback)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """No deadlines here."""

    def turn(self) -> None:
        due, self.due = self.due, []
        for callback in due:
            callback()


class Served:
    """A session of a server whose turns are counted, fed by hand."""

    def __init__(self, method: UnaryMethod | StreamMethod) -> None:
        self.loop = Turns()
        self.wire = Wire()
        self.session = Session(Endpoint(self.loop, server=True, methods={PATH: method}, hooks=Hooks()))
        self.session.connection_made(self.wire)
        self.session.data_received(wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0))
        self.loop.turn()


def slow(handled: list[Any]) -> Callable[[Call], None]:
    def handler(call: Call) -> None:
        handled.append(call)
        until = monotonic() + SLOW_SECONDS
        while monotonic() < until:
            pass
        call.respond(b"")

    return handler


def some(frames: Any, count: int) -> bytes:
    return b"".join(next(frames) for _ in range(count))


def test_calls_of_one_read_wait_for_the_next_turn_when_they_take_long() -> None:
    handled: list[Any] = []
    served = Served(UnaryMethod(slow(handled)))

    served.session.data_received(some(requests(PATH, b""), 3))
    for count in (1, 2):
        assert len(handled) == count and not served.wire.reading
        served.loop.turn()

    assert len(handled) == 3 and served.wire.reading


def test_a_read_that_was_full_is_the_last_one_of_its_turn() -> None:
    """The loop would read on and on from a socket whose client sends as fast as it can."""
    served = Served(UnaryMethod(lambda call: call.respond(b"")))
    frames = half_sent_uploads(PATH)
    begin, upload = some(frames, 1000), some(frames, 9)
    served.session.data_received(begin)
    while not served.wire.reading:
        served.loop.turn()
    assert len(begin) < len(upload)

    served.session.data_received(upload)
    assert not served.wire.reading
    served.loop.turn()

    assert served.wire.reading and served.session.alive


def test_a_lost_connection_leaves_nothing_for_later() -> None:
    handled: list[Any] = []
    served = Served(UnaryMethod(slow(handled)))
    served.session.data_received(some(requests(PATH, b""), 3))

    served.session.connection_lost(None)
    served.loop.turn()

    assert len(handled) == 1
    assert served.session.open_streams == 0


class Deaf:
    """A streaming call that never reads on, and how it ended."""

    def __init__(self, call: Call, ended: list[Any]) -> None:
        self.call = call
        self.ended = ended

    def on_message(self, message: bytes, /) -> None:
        self.call.pause_reading()

    def on_end(self) -> None:
        raise AssertionError("reading is paused")

    def on_drain(self) -> None:
        raise AssertionError("nothing was written")

    def on_close(self, error: int, /) -> None:
        self.ended.append(self)
        until = monotonic() + SLOW_SECONDS
        while monotonic() < until:
            pass


def test_the_calls_of_a_lost_connection_are_told_in_turns_and_let_go() -> None:
    """Also those that have not read everything; and nothing of them waits for a collection of garbage."""
    ended: list[Any] = []
    opened: list[weakref.ref[Deaf]] = []

    def open_deaf(call: Call) -> Deaf:
        handler = Deaf(call, ended)
        opened.append(weakref.ref(handler))
        return handler

    served = Served(StreamMethod(open_deaf))
    for stream_id in (1, 3, 5):
        body = wire.data(stream_id, wire.message(b"a"), end=False)
        served.session.data_received(wire.headers(stream_id, wire.request_fields(PATH)) + body + body)
    assert len(opened) == 3

    served.session.connection_lost(None)
    for count in (1, 2, 3):
        assert len(ended) == count
        served.loop.turn()
    gc.disable()
    try:
        ended.clear()
        assert [handler() for handler in opened] == [None, None, None]
    finally:
        gc.enable()


def test_nothing_is_read_while_very_many_calls_are_handled() -> None:
    handled: list[Call] = []
    served = Served(UnaryMethod(handled.append))
    served.session.data_received(some(requests(PATH, b""), 3000))
    for _ in range(1000):
        served.loop.turn()
    assert not served.wire.reading and len(handled) > 2000

    for call in handled:
        call.respond(b"")
    for _ in range(1000):
        served.loop.turn()

    assert served.wire.reading and len(handled) == 3000


def test_a_call_put_off_is_handled_anew_when_its_client_has_read() -> None:
    asked: list[bytes] = []

    def handler(call: Call) -> None:
        asked.append(call.message)
        if not call.put_off():
            call.respond(bytes(1_500_000))

    pair = Pair(unary=handler, queued_bytes_max=1_000_000)
    pair.server.pause_writing()
    first = pair.start(b"first")
    pair.exchange()
    assert asked == [b"first"]
    second = pair.start(b"second")
    pair.exchange()
    assert asked == [b"first"], "it waits before its handler already"
    pair.server.resume_writing()
    pair.exchange()

    assert asked == [b"first", b"second"]
    assert [len(call.message) for call in (first, second)] == [1_500_000] * 2
    assert pair.methods[PATH].started == 2


def test_who_has_much_unread_is_put_off_though_the_handler_has_begun() -> None:
    waiting: list[Call] = []
    pair = Pair(unary=waiting.append, queued_bytes_max=1_000_000)
    calls = [pair.start(b"%d" % number) for number in range(3)]
    pair.exchange()
    pair.server.pause_writing()
    first, second, third = waiting
    assert not first.put_off()
    first.respond(bytes(1_500_000))
    assert second.put_off() and third.put_off()
    assert pair.server.running == 0

    pair.server.resume_writing()
    pair.exchange()
    for call in waiting[3:]:
        call.respond(b"late")
    pair.exchange()

    assert len(waiting) == 5
    assert [call.message for call in calls[1:]] == [b"late"] * 2
    assert pair.methods[PATH].started == 3, "each is counted once"


def test_answers_that_cannot_be_put_off_end_the_connection_of_whom_nobody_reads() -> None:
    waiting: list[Call] = []
    pair = Pair(unary=waiting.append)
    for number in range(20):
        pair.start(b"%d" % number)
    pair.exchange()
    pair.server.pause_writing()

    for call in waiting:
        call.respond(bytes(8 << 20))
        if pair.to_client.closed:
            break

    assert pair.to_client.closed
    assert pair.server.queued_bytes <= 64 << 20


def test_requests_behind_unread_answers_are_bounded() -> None:
    served = Served(UnaryMethod(lambda call: call.respond(bytes(20 << 20))))  # its client opens no window for that

    served.session.data_received(some(requests(PATH, b""), 10_000))
    for _ in range(1000):
        served.loop.turn()

    assert not served.session.alive, "refused again and again, it was told to calm down"


def test_refusals_are_offences() -> None:
    for frames, enough in ((huge_lengths(PATH), 600), (gzip_bombs(PATH), 30)):
        served = Served(UnaryMethod(lambda call: call.respond(b"")))
        served.session.data_received(some(frames, enough))
        for _ in range(1000):
            served.loop.turn()

        assert not served.session.alive


def test_uploads_of_a_connection_that_ends_are_forgotten_at_once() -> None:
    served = Served(UnaryMethod(lambda call: call.respond(b"")))
    frames = half_sent_uploads(PATH)
    served.session.data_received(some(frames, 200) + some(frames, 800))
    for _ in range(1000):
        served.loop.turn()
    assert served.session.alive

    for _ in range(20):
        served.session.data_received(some(frames, 10))
        served.loop.turn()
    assert served.session.held_bytes > 1 << 20

    served.session.data_received(wire.frame(wire.SETTINGS, 0, 0) * 1000)
    for _ in range(100):
        served.loop.turn()

    assert not served.session.alive
    assert served.session.held_bytes < 1 << 20


def test_a_path_without_a_slash_reaches_no_handler() -> None:
    """CVE-2026-33186: it must not be taken for the method behind it."""
    handled: list[Call] = []
    served = Served(UnaryMethod(handled.append))

    served.session.data_received(some(requests(PATH[1:], b""), 3))
    served.loop.turn()

    assert not handled
