"""A watch across lost streams: no event twice, none missing."""

from __future__ import annotations

from etcdpy.client.request import watch_request
from etcdpy.client.watch_state import WatchState, cancel_text
from etcdpy.pb import kv_pb2 as kv
from etcdpy.pb import rpc_pb2 as rpc


def response(
    revision: int, *mod_revisions: int, created: bool = False, canceled: bool = False, fragment: bool = False
) -> rpc.WatchResponse:
    events = [kv.Event(kv=kv.KeyValue(key=b"k", mod_revision=each)) for each in mod_revisions]
    header = rpc.ResponseHeader(revision=revision)
    return rpc.WatchResponse(header=header, events=events, created=created, canceled=canceled, fragment=fragment)


def next_asked(state: WatchState) -> int:
    return state.create_request().create_request.start_revision


def test_a_watch_from_now_is_fixed_to_the_revision_of_its_creation() -> None:
    state = WatchState(watch_request(b"k"))
    assert next_asked(state) == 0
    assert state.take(response(7, created=True)) is None
    assert next_asked(state) == 8


def test_a_lost_stream_goes_on_after_the_last_event() -> None:
    state = WatchState(watch_request(b"k", start_revision=3))
    assert next_asked(state) == 3
    state.take(response(9, created=True))
    assert next_asked(state) == 3
    state.take(response(9, 4, 6))
    assert next_asked(state) == 7


def test_progress_moves_the_start_too() -> None:
    state = WatchState(watch_request(b"k", start_revision=3))
    assert state.take(response(20)) is not None
    assert next_asked(state) == 21


def test_fragments_are_joined_and_forgotten_when_the_stream_is_lost() -> None:
    state = WatchState(watch_request(b"k", start_revision=3))
    assert state.take(response(9, 3, fragment=True)) is None
    assert next_asked(state) == 3
    assert state.take(response(9, 3, fragment=True)) is None
    whole = state.take(response(9, 4))
    assert whole is not None and [event.kv.mod_revision for event in whole.events] == [3, 4]
    assert not whole.fragment
    assert next_asked(state) == 5


def test_a_refusal_is_shown_and_ends_the_watch() -> None:
    state = WatchState(watch_request(b"k"))
    refused = response(9, created=True, canceled=True)
    refused.cancel_reason = "mvcc: watcher range is empty"
    assert state.take(refused) is refused
    assert state.canceled
    assert cancel_text(refused) == "mvcc: watcher range is empty"
    refused.compact_revision = 5
    assert cancel_text(refused) == "etcdserver: mvcc: required revision has been compacted"
