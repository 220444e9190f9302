"""Requests as bytes of the log: what Go encodes, what Go and older members may have written."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from etcdpy.base.invariant import InvariantError
from etcdpy.pb import etcdserver_pb2, raft_internal_pb2, rpc_pb2
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.caller import Caller
from etcdpy.state.apply.proposal import REQUEST_TYPES, InternalEncoder, decode_entry_data, encode_v2_put

REQUESTS: dict[int, Message] = {
    kinds.RANGE: rpc_pb2.RangeRequest(key=b"a", limit=3),
    kinds.PUT: rpc_pb2.PutRequest(key=b"a", value=b"b"),
    kinds.DELETE_RANGE: rpc_pb2.DeleteRangeRequest(key=b"a"),
    kinds.TXN: rpc_pb2.TxnRequest(compare=[rpc_pb2.Compare(key=b"a", version=1)]),
    kinds.COMPACTION: rpc_pb2.CompactionRequest(revision=5),
    kinds.LEASE_GRANT: rpc_pb2.LeaseGrantRequest(ID=1, TTL=2),
    kinds.LEASE_REVOKE: rpc_pb2.LeaseRevokeRequest(ID=1),
    kinds.ALARM: rpc_pb2.AlarmRequest(memberID=1),
    kinds.LEASE_CHECKPOINT: rpc_pb2.LeaseCheckpointRequest(
        checkpoints=[rpc_pb2.LeaseCheckpoint(ID=1, remaining_TTL=2)]
    ),
}


def test_every_kind_of_request_is_tried_here() -> None:
    assert REQUESTS.keys() == REQUEST_TYPES.keys()


@pytest.mark.parametrize("kind", REQUESTS)
def test_an_entry_is_the_message_that_protobuf_would_encode(kind: int) -> None:
    request = REQUESTS[kind]
    request_id = 0x94AE_0123_4567_89AB
    data = InternalEncoder().encode(kind, request_id, request.SerializeToString())
    expected = raft_internal_pb2.InternalRaftRequest(header=raft_internal_pb2.RequestHeader(ID=request_id))
    field = expected.DESCRIPTOR.fields_by_number[kind].name
    getattr(expected, field).CopyFrom(request)

    assert data == expected.SerializeToString()


@pytest.mark.parametrize("kind", REQUESTS)
def test_what_was_encoded_is_read_again(kind: int) -> None:
    data = InternalEncoder().encode(kind, 1 << 60, REQUESTS[kind].SerializeToString())
    found = decode_entry_data(data)

    assert (found.kind, found.request_id, found.request) == (kind, 1 << 60, REQUESTS[kind])


def test_an_empty_request_is_still_of_its_kind() -> None:
    found = decode_entry_data(InternalEncoder().encode(kinds.ALARM, 1 << 60, b""))

    assert (found.kind, found.request) == (kinds.ALARM, rpc_pb2.AlarmRequest())


@given(ids=st.lists(st.integers(1 << 28, (1 << 64) - 1), max_size=5), size=st.sampled_from([0, 1, 127, 16383, 16384]))
def test_one_encoder_serves_ids_in_any_order(ids: list[int], size: int) -> None:
    encoder = InternalEncoder()
    body = rpc_pb2.PutRequest(key=b"k", value=bytes(size)).SerializeToString()
    for request_id in ids:
        found = decode_entry_data(encoder.encode(kinds.PUT, request_id, body))
        assert (found.request_id, len(found.request.value)) == (request_id, size)


@pytest.mark.parametrize("username", [b"u", b"\xff\xfe", b"x" * 200, b""])
@pytest.mark.parametrize("size", [0, 300, 20_000])
def test_a_caller_stands_in_the_header_as_protobuf_would_put_it(username: bytes, size: int) -> None:
    encoder = InternalEncoder()
    caller = Caller(username, 300)
    request = rpc_pb2.PutRequest(key=b"a", value=b"v" * size)
    for request_id in (0x94AE_0123_4567_89AB, 0x94AE_0123_4567_89AC, (1 << 64) - 1, 1 << 28):
        header = raft_internal_pb2.RequestHeader(ID=request_id, username=username, auth_revision=300)
        expected = raft_internal_pb2.InternalRaftRequest(header=header, put=request)
        data = encoder.encode_for(caller, kinds.PUT, request_id, request.SerializeToString())
        assert data == expected.SerializeToString()
        found = decode_entry_data(data)
        assert (found.request_id, found.caller.username, found.caller.revision) == (request_id, username, 300)


def test_callers_of_one_encoder_are_told_apart() -> None:
    encoder = InternalEncoder()
    callers = [Caller(b"a", 1), Caller(b"b", 1), Caller(b"a", 2)]
    for caller in callers * 2:
        found = decode_entry_data(encoder.encode_for(caller, kinds.PUT, 1 << 60, b"")).caller
        assert (found.username, found.revision) == (caller.username, caller.revision)


def test_ids_that_no_generator_makes_are_refused() -> None:
    with pytest.raises(InvariantError, match="2\\*\\*28"):
        InternalEncoder().encode(kinds.PUT, (1 << 28) - 1, b"")


def test_an_id_outside_of_the_header_is_known_too() -> None:
    """Members before 3.1 wrote it there."""
    old = raft_internal_pb2.InternalRaftRequest(ID=5, put=rpc_pb2.PutRequest(key=b"a"))

    assert decode_entry_data(old.SerializeToString()).request_id == 5


def test_a_v2_put_is_what_a_35_member_writes() -> None:
    """All non-nullable fields are there, zero or not, as Go's encoder leaves them."""
    data = encode_v2_put(0x1234, "/0/version", "3.5.0")
    expected = (
        b"\x08\xb4\x24" + b"\x12\x03PUT" + b"\x1a\x0a/0/version" + b"\x22\x053.5.0" + b"\x28\x00" + b"\x32\x00"
        b"\x38\x00" + b"\x48\x00" + b"\x50\x00" + b"\x58\x00" + b"\x60\x00" + b"\x68\x00" + b"\x70\x00" + b"\x78\x00"
        b"\x80\x01\x00"
    )

    assert data == expected


def test_a_bare_v2_request_is_told_from_the_others() -> None:
    found = decode_entry_data(encode_v2_put(77, "/0/version", "3.5.0"))

    assert (found.kind, found.request_id) == (kinds.V2, 77)
    assert (found.request.Method, found.request.Path, found.request.Val) == (b"PUT", b"/0/version", b"3.5.0")


def test_a_v2_request_inside_of_an_internal_one_is_read_too() -> None:
    inner = etcdserver_pb2.Request.FromString(encode_v2_put(77, "/0/version", "3.5.0"))
    data = raft_internal_pb2.InternalRaftRequest(v2=inner).SerializeToString()

    found = decode_entry_data(data)

    assert (found.kind, found.request_id) == (kinds.V2, 77)


@pytest.mark.parametrize("data", [b"\xff", b"\x08\x01"])
def test_what_is_no_request_stops_the_member(data: bytes) -> None:
    with pytest.raises(InvariantError, match=f"entry of {len(data)} bytes"):
        decode_entry_data(data)
