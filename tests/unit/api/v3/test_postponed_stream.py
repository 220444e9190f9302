"""A stream whose handler comes later."""

from __future__ import annotations

from typing import Any

from etcdpy.api.v3.postponed_stream import PostponedStream
from etcdpy.base.errors import NoLeader, PermissionDenied
from tests.unit.api.v3.fake_call import FakeCall


class Recorder:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_message(self, message: bytes, /) -> None:
        self.seen.append(message)

    def on_end(self) -> None:
        self.seen.append("end")

    def on_close(self, error: int, /) -> None:
        self.seen.append(error)

    def on_drain(self) -> None:
        self.seen.append("drain")


def test_the_handler_sees_everything_once_it_is_there() -> None:
    call, recorder = FakeCall(), Recorder()
    stream = PostponedStream(call, lambda _: recorder)
    assert not call.is_reading

    stream.on_end()
    assert recorder.seen == []
    stream.open()
    assert call.is_reading and recorder.seen == ["end"]

    stream.on_message(b"m")
    stream.on_drain()
    stream.on_end()
    stream.on_close(8)
    assert recorder.seen == ["end", b"m", "drain", "end", 8]


def test_who_went_away_gets_no_handler() -> None:
    for is_told in (True, False):
        call = FakeCall()
        stream = PostponedStream(call, lambda _: Recorder().seen.pop())
        call.closed = True
        if is_told:
            stream.on_close(8)

        stream.open()
        stream.fail(NoLeader())
        stream.on_message(b"m")
        stream.on_drain()

        assert call.status is None
        assert call.is_reading is not is_told  # one that was not told is told after what it sent was read


def test_a_refusal_ends_the_call() -> None:
    def refuse(_: Any) -> Recorder:
        raise PermissionDenied

    call = FakeCall()
    stream = PostponedStream(call, refuse)
    stream.open()
    assert call.status == (PermissionDenied.code, PermissionDenied.text)
    stream.on_message(b"m")

    call = FakeCall()
    PostponedStream(call, refuse).fail(NoLeader())
    assert call.status == (NoLeader.code, NoLeader.text)
