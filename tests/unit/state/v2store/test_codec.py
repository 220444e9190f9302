from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcdpy.base.invariant import StorageError
from etcdpy.state.v2store import V2Error, V2Store
from etcdpy.state.v2store.codec import decode_time, encode_event, encode_string, encode_time

NOW = 1_800_000_000_123_456_789

MEMBERSHIP = (
    '{"Root":{"Path":"/","CreatedIndex":0,"ModifiedIndex":0,"ExpireTime":"0001-01-01T00:00:00Z","Value":"","Children":'
    '{"0":{"Path":"/0","CreatedIndex":0,"ModifiedIndex":0,"ExpireTime":"0001-01-01T00:00:00Z","Value":"","Children":'
    '{"members":{"Path":"/0/members","CreatedIndex":1,"ModifiedIndex":1,"ExpireTime":"0001-01-01T00:00:00Z",'
    '"Value":"","Children":{"a1":{"Path":"/0/members/a1","CreatedIndex":1,"ModifiedIndex":1,'
    '"ExpireTime":"0001-01-01T00:00:00Z","Value":"","Children":{"raftAttributes":{"Path":'
    '"/0/members/a1/raftAttributes","CreatedIndex":1,"ModifiedIndex":1,"ExpireTime":"0001-01-01T00:00:00Z","Value":'
    '"{\\"peerURLs\\":[\\"http://127.0.0.1:2380\\"]}","Children":null}}}}},"version":{"Path":"/0/version",'
    '"CreatedIndex":2,"ModifiedIndex":2,"ExpireTime":"0001-01-01T00:00:00Z","Value":"3.5.0","Children":null}}},'
    '"1":{"Path":"/1","CreatedIndex":0,"ModifiedIndex":0,"ExpireTime":"0001-01-01T00:00:00Z","Value":"",'
    '"Children":{}}}},"WatcherHub":{"EventHistory":{"Queue":{"Events":[{"action":"create","node":{"key":'
    '"/0/members/a1/raftAttributes","value":"{\\"peerURLs\\":[\\"http://127.0.0.1:2380\\"]}","modifiedIndex":1,'
    '"createdIndex":1}},{"action":"set","node":{"key":"/0/version","value":"3.5.0","modifiedIndex":2,'
    '"createdIndex":2}},' + ",".join(["null"] * 998) + '],"Size":2,"Front":0,"Back":2,"Capacity":1000},'
    '"StartIndex":1,"LastIndex":2}},"CurrentIndex":2,"Stats":{"getsSuccess":0,"getsFail":1,"setsSuccess":1,'
    '"setsFail":0,"deleteSuccess":0,"deleteFail":0,"updateSuccess":0,"updateFail":0,"createSuccess":1,'
    '"createFail":0,"compareAndSwapSuccess":0,"compareAndSwapFail":0,"compareAndDeleteSuccess":0,'
    '"compareAndDeleteFail":0,"expireCount":0,"watchers":0},"CurrentVersion":2}'
)


def test_a_membership_is_saved_as_etcd_saves_it() -> None:
    store = V2Store()
    with pytest.raises(V2Error):
        store.get("/0/members")
    store.create("/0/members/a1/raftAttributes", '{"peerURLs":["http://127.0.0.1:2380"]}')
    store.set("/0/version", "3.5.0")
    assert store.save().decode() == MEMBERSHIP


def filled() -> V2Store:
    store = V2Store()
    store.now_ns = NOW
    for number in range(1100):
        store.set(f"/1/many/{number % 7}", "v")
    store.create("/1/dir/q", "<&>\u2028", is_unique=True)
    store.set("/1/ttl", "x", expire_ns=NOW + 10**9)
    store.update("/1/ttl", "", expire_ns=NOW + 2 * 10**9, is_refresh=True)
    store.set("/1/empty", is_dir=True)
    store.delete("/1/many", recursive=True)
    return store


def test_a_recovered_store_is_the_saved_one() -> None:
    store = filled()
    copy = V2Store()
    copy.recovery(store.save())
    copy.check_invariants()
    assert copy.save() == store.save()
    assert copy.has_ttl_keys()
    for each in (store, copy):
        each.now_ns = NOW
        each.set("/1/more", "x")
        each.delete_expired_keys(NOW + 3 * 10**9)
    assert copy.save() == store.save()


def _without(key: str) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        fields = json.loads(data)
        del fields[key]
        return json.dumps(fields).encode()

    return change


def _with_history(**fields: int) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        content = json.loads(data)
        content["WatcherHub"]["EventHistory"]["Queue"].update(fields)
        return json.dumps(content).encode()

    return change


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: b"[]",
        lambda data: b'{"Root":' * 5000,
        _without("Root"),
        _without("WatcherHub"),
        _without("CurrentIndex"),
        _with_history(Front=1000),
        _with_history(Capacity=5),
        lambda data: data.replace(b"0001-01-01T00:00:00Z", b"yesterday"),
    ],
)
def test_what_is_no_store_is_refused_and_changes_nothing(damage: Callable[[bytes], bytes]) -> None:
    store = filled()
    before = store.save()
    with pytest.raises(StorageError, match="v2 store"):
        store.recovery(damage(before))
    assert store.save() == before


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", '""'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("<a&b>", '"\\u003ca\\u0026b\\u003e"'),
        ("\n\r\t\b\f\x00\x7f", '"\\n\\r\\t\\u0008\\u000c\\u0000\x7f"'),
        ("\u2028\u2029\u20ac\U0001f600", '"\\u2028\\u2029\u20ac\U0001f600"'),
        (b"\xff\xe2\x82".decode("utf-8", "surrogateescape"), '"\\ufffd\\ufffd\\ufffd"'),
    ],
)
def test_strings_are_quoted_as_go_quotes_them(text: str, quoted: str) -> None:
    assert encode_string(text) == quoted


@given(st.text())
def test_quoted_strings_are_json(text: str) -> None:
    assert json.loads(encode_string(text)) == text


@pytest.mark.parametrize(
    ("unix_ns", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (1_700_000_000 * 10**9, "2023-11-14T22:13:20Z"),
        (1_700_000_000 * 10**9 + 905652070, "2023-11-14T22:13:20.90565207Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        ((1 << 63) - 1, "2262-04-11T23:47:16.854775807Z"),
    ],
)
def test_times_are_written_with_nanoseconds(unix_ns: int, text: str) -> None:
    assert encode_time(unix_ns) == text
    assert decode_time(text) == unix_ns


def test_times_of_other_zones_are_read() -> None:
    assert decode_time("2023-11-14T23:13:20.5+01:00") == 1_700_000_000 * 10**9 + 500_000_000
    with pytest.raises(ValueError, match="not a time"):
        decode_time("2023-11-14")


def test_an_event_shows_what_clients_expect() -> None:
    store = V2Store()
    store.now_ns = NOW
    store.set("/1/a", "", expire_ns=NOW + 1)
    event = store.update("/1/a", "b")
    assert encode_event(event) == (
        '{"action":"update","node":{"key":"/1/a","value":"b","modifiedIndex":2,"createdIndex":1},"prevNode":'
        '{"key":"/1/a","value":"","expiration":"2027-01-15T08:00:00.12345679Z","ttl":1,"modifiedIndex":1,'
        '"createdIndex":1}}'
    )
    store.set("/1/d/e", "x")
    assert encode_event(store.get("/1", recursive=True)).startswith(
        '{"action":"get","node":{"key":"/1","dir":true,"nodes":[{"key":"/1/a"'
    )
