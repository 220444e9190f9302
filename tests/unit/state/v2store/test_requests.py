from __future__ import annotations

import pytest

from etcdpy.pb.etcdserver_pb2 import Request
from etcdpy.state.v2store import V2Error, V2Store
from etcdpy.state.v2store.requests import apply_request


def put(**fields: object) -> Request:
    request = Request(Method=b"PUT", Path=b"/1/a", Val=b"v")
    for name, value in fields.items():
        setattr(request, name, value)
    return request


@pytest.mark.parametrize(
    ("request_", "action"),
    [
        (put(), "set"),
        (put(PrevExist=True), "update"),
        (put(PrevExist=False, Path=b"/1/new"), "create"),
        (put(PrevValue=b"old"), "compareAndSwap"),
        (put(PrevIndex=1), "compareAndSwap"),
        (put(PrevExist=True, PrevIndex=1), "compareAndSwap"),
        (Request(Method=b"POST", Path=b"/1/q", Val=b"v"), "create"),
        (Request(Method=b"DELETE", Path=b"/1/a"), "delete"),
        (Request(Method=b"DELETE", Path=b"/1/a", PrevValue=b"old"), "compareAndDelete"),
        (Request(Method=b"QGET", Path=b"/1/a"), "get"),
    ],
)
def test_a_request_becomes_its_action(request_: Request, action: str) -> None:
    store = V2Store()
    store.set("/1/a", "old")
    event = apply_request(store, request_)
    assert event is not None and event.action == action


def test_sync_expires() -> None:
    store = V2Store()
    store.set("/1/a", "old", expire_ns=1_800_000_000 * 10**9)
    assert apply_request(store, Request(Method=b"SYNC", Time=1_800_000_000 * 10**9)) is None
    assert store.find_value("/1/a") is None


def test_an_unknown_method_does_nothing() -> None:
    store = V2Store()
    assert apply_request(store, Request(Method=b"BREW", Path=b"/1/a")) is None
    assert store.current_index == 0


def test_errors_are_v2_s_own() -> None:
    with pytest.raises(V2Error, match="Key not found"):
        apply_request(V2Store(), Request(Method=b"DELETE", Path=b"/1/a"))


def test_bytes_that_are_no_text_survive() -> None:
    store = V2Store()
    apply_request(store, Request(Method=b"PUT", Path=b"/1/a", Val=b"\xff\xfe"))
    value = store.find_value("/1/a")
    assert value is not None and value.encode("utf-8", "surrogateescape") == b"\xff\xfe"
    assert b'"Value":"\\ufffd\\ufffd"' in store.save()
