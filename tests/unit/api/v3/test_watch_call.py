"""Who waits on a crowded connection, and what a call writes."""

from __future__ import annotations

from typing import Any

from etcdpy.api.v3.watch_call import KEPT_BYTES_MAX, SHARED_BYTES_MIN, Crowd, WatchCall
from etcdpy.state.watch.response import Fanout
from tests.unit.api.v3.fake_call import FakeCall


class Chunks(FakeCall):
    """Keeps messages as they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[bytes | list[bytes]] = []

    def write(self, message: bytes | list[bytes]) -> bool:
        self.given.append(message)
        return super().write(message)


def make(crowd: Crowd, stream_id: int, call: FakeCall | None = None) -> WatchCall:
    api: Any = None  # nobody asks it here
    return WatchCall(api, call or FakeCall(), stream_id, crowd, requires_leader=False)


def test_large_bodies_are_the_same_object_for_everybody() -> None:
    crowd = Crowd(None)
    tail = bytes(SHARED_BYTES_MIN)
    calls = [Chunks(), Chunks()]
    for number, call in enumerate(calls):
        handler = make(crowd, number, call)
        handler.write_all([b"created", Fanout(b"head", (b"1", b"2"), tail), Fanout(b"head", (b"3",), b"small")])

    for call in calls:
        assert call.written == [b"created", b"head1" + tail, b"head2" + tail, b"head3small"]
        assert [message[-1] is tail for message in call.given if isinstance(message, list)] == [True, True]


class Roomy(FakeCall):
    """A call with nothing unsent on a crowded connection."""

    def has_room(self, size: int) -> bool:
        return size < 100


def test_those_who_wait_are_looked_at_in_turn() -> None:
    crowd = Crowd(None)
    stalled, second, third, free = (make(crowd, number) for number in (1, 2, 3, 4))
    for handler in (stalled, second, third):
        crowd.hold(handler, is_level=True)
    stalled.call.is_crowded = True  # type: ignore[misc]

    assert crowd.look_at_next() is None, "the first one still has to wait, and nobody waits for it"
    assert crowd.look_at_next() is second and not second.is_held
    third.end()
    assert (crowd.going, list(crowd.held)) == ({free, second}, [stalled])


def test_little_messages_pass_a_crowd() -> None:
    crowd = Crowd(None)
    handler, other = make(crowd, 1, Roomy()), make(crowd, 2)
    assert handler.may_write(100, is_level=True), "there is none"
    handler.call.is_crowded = True  # type: ignore[misc]

    assert handler.may_write(99, is_level=True)
    assert not handler.may_write(100, is_level=True)
    assert not handler.may_write(99, is_level=False)
    other.keep([bytes(KEPT_BYTES_MAX + 1)])
    assert not handler.may_write(99, is_level=True)
    other.end()
    assert handler.may_write(99, is_level=True)


def test_what_is_kept_is_written_once_and_in_order() -> None:
    call = FakeCall(room=3)
    handler = make(Crowd(None), 1, call)
    handler.keep([b"a", b"b"])
    handler.keep([b"c"])
    assert not call.written

    handler.write_kept()
    assert (call.take(), handler.is_full) == ([b"a", b"b", b"c"], True)
    handler.write_kept()
    assert handler.is_full and not call.written
