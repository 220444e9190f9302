"""Who waits on a crowded connection, and what a call writes."""

from __future__ import annotations

from typing import Any

from etcdpy.api.v3.watch_call import SHARED_BYTES_MIN, Crowd, WatchCall
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


def test_those_who_wait_go_on_in_order_as_long_as_there_is_room() -> None:
    crowd = Crowd(None)
    first, second, third = (make(crowd, number) for number in (1, 2, 3))
    assert crowd.hold_all() == [first, second, third]
    fourth = make(crowd, 4)
    assert crowd.hold_all() == [fourth], "the others wait already"
    third.call.is_crowded = True  # type: ignore[misc]

    assert crowd.next_to_go() is first and not first.is_held
    second.end()
    assert crowd.next_to_go() is None
    assert (crowd.going, list(crowd.held)) == ({first}, [third, fourth])


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
