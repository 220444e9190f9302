"""Responses made by hand against protobuf's own."""

from __future__ import annotations

import pickle

import pytest

from etcdpy.pb import kv_pb2, rpc_pb2
from etcdpy.state.mvcc.change import Change
from etcdpy.state.watch.event import FRAGMENTED, NO_DELETE, NO_PUT, Event, encode_units
from etcdpy.state.watch.response import (
    CANCELED,
    CREATED,
    FRAGMENT,
    Fanout,
    encode_compact_revision,
    encode_header,
    encode_id_field,
    encode_reason,
)
from tests.unit.state.watch.fakes import FakeStore

BIG = (1 << 64) - 1


@pytest.mark.parametrize(
    ("cluster_id", "member_id", "revision", "raft_term"), [(0, 0, 0, 0), (1, 2, 3, 4), (BIG, BIG, (1 << 63) - 1, BIG)]
)
@pytest.mark.parametrize("watch_id", [0, 1, 127, 128, (1 << 63) - 1, -1, -(1 << 63)])
def test_bytes_are_those_of_protobuf(
    cluster_id: int, member_id: int, revision: int, raft_term: int, watch_id: int
) -> None:
    change = Change(b"a", kv_pb2.KeyValue(key=b"a", mod_revision=9).SerializeToString(), True, 9)
    data = (
        encode_header(cluster_id, member_id, revision, raft_term)
        + encode_id_field(watch_id)
        + CREATED
        + CANCELED
        + encode_compact_revision(5)
        + encode_reason("why not")
        + FRAGMENT
        + Event(change).encode()
    )
    header = rpc_pb2.ResponseHeader(cluster_id=cluster_id, member_id=member_id, revision=revision, raft_term=raft_term)
    event = kv_pb2.Event(type=kv_pb2.Event.DELETE, kv=kv_pb2.KeyValue(key=b"a", mod_revision=9))
    expected = rpc_pb2.WatchResponse(
        header=header,
        watch_id=watch_id,
        created=True,
        canceled=True,
        compact_revision=5,
        cancel_reason="why not",
        fragment=True,
        events=[event],
    )
    assert data == expected.SerializeToString()


def test_fanout_is_a_plain_value() -> None:
    fanout = pickle.loads(pickle.dumps(Fanout(b"h", [b"1", b"2"], b"t")))
    assert fanout.messages() == [b"h1t", b"h2t"]
    assert fanout.join_after(b"|") == b"|h1t|h2t"


def test_units_hold_whole_revisions() -> None:
    store = FakeStore()
    for _ in range(3):
        store.write({b"a": b"x" * 300_000, b"b": b"x" * 300_000})
    units = encode_units([Event(change) for change in store.history], 0, store, 1 << 21)
    assert [(unit.first_revision, unit.event_count, len(unit.pieces)) for unit in units] == [
        (2, 2, 1),
        (3, 2, 1),
        (4, 2, 1),
    ]
    fragments = encode_units([Event(change) for change in store.history], FRAGMENTED, store, 500_000)
    assert [(unit.first_revision, unit.event_count, len(unit.pieces)) for unit in fragments] == [
        (2, 2, 2),
        (3, 2, 2),
        (4, 2, 2),
    ]


def test_filtered_events_leave_nothing() -> None:
    store = FakeStore()
    store.put(b"a")
    store.delete(b"a")
    events = [Event(change) for change in store.history]
    assert encode_units(events, NO_PUT | NO_DELETE, store, 1 << 21) == []
    assert encode_units(events[:1], NO_PUT, store, 1 << 21) == []
    assert [unit.first_revision for unit in encode_units(events, NO_PUT, store, 1 << 21)] == [3]
