"""Entry data: what was proposed can be read again, however a client nested it."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError, Message

from etcdpy.base.invariant import InvariantError
from etcdpy.pb import raft_internal_pb2, rpc_pb2
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.proposal import InternalEncoder, decode_entry_data, encode_v2_put

REQUEST_ID = 0x1234_5678_9ABC_DEF0

REQUESTS: list[tuple[int, Message]] = [
    (kinds.PUT, rpc_pb2.PutRequest(key=b"k", value=b"v")),
    (kinds.DELETE_RANGE, rpc_pb2.DeleteRangeRequest(key=b"k")),
    (kinds.TXN, rpc_pb2.TxnRequest(success=[rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=b"k"))])),
    (kinds.COMPACTION, rpc_pb2.CompactionRequest(revision=7)),
    (kinds.LEASE_GRANT, rpc_pb2.LeaseGrantRequest(TTL=5, ID=7)),
    (kinds.LEASE_REVOKE, rpc_pb2.LeaseRevokeRequest(ID=7)),
    (kinds.ALARM, rpc_pb2.AlarmRequest(action=rpc_pb2.AlarmRequest.ACTIVATE, memberID=1)),
    (kinds.LEASE_CHECKPOINT, rpc_pb2.LeaseCheckpointRequest()),
]


def nested_groups(depth: int) -> bytes:
    """An unknown field that parsers must walk through: groups inside of groups."""
    return b"\x9b\x06" * depth + b"\x9c\x06" * depth


def deepest_that_parses(request: Message) -> bytes:
    """The request with as many groups as the parser of its own type takes."""
    body = request.SerializeToString()
    deepest = body
    for depth in range(1, 300):
        try:
            type(request).FromString(body + nested_groups(depth))
        except DecodeError:
            return deepest
        deepest = body + nested_groups(depth)
    raise AssertionError("the parser has no limit any more: this test has lost its point")


@pytest.mark.parametrize(("kind", "request_"), REQUESTS, ids=lambda value: str(value).split("\n")[0])
def test_what_was_proposed_is_read_again(kind: int, request_: Message) -> None:
    data = InternalEncoder().encode(kind, REQUEST_ID, request_.SerializeToString())

    proposal = decode_entry_data(data)

    assert (proposal.kind, proposal.request_id, proposal.request) == (kind, REQUEST_ID, request_)


@pytest.mark.parametrize(("kind", "request_"), REQUESTS, ids=lambda value: str(value).split("\n")[0])
def test_what_could_be_parsed_when_proposed_can_be_parsed_as_an_entry(kind: int, request_: Message) -> None:
    """The envelope costs one level: a request at the limit must not stop the member at every start."""
    body = deepest_that_parses(request_)
    data = InternalEncoder().encode(kind, REQUEST_ID, body)
    with pytest.raises(DecodeError):
        raft_internal_pb2.InternalRaftRequest.FromString(data)

    proposal = decode_entry_data(data)

    assert (proposal.kind, proposal.request_id) == (kind, REQUEST_ID)
    assert proposal.request == type(request_).FromString(body)


def test_a_bare_v2_request_is_told_from_the_others() -> None:
    proposal = decode_entry_data(encode_v2_put(REQUEST_ID, "/0/version", "3.5.0"))

    assert (proposal.kind, proposal.request_id) == (kinds.V2, REQUEST_ID)
    assert (proposal.request.Method, proposal.request.Path, proposal.request.Val) == (b"PUT", b"/0/version", b"3.5.0")


@pytest.mark.parametrize("data", [b"\xff", b"\x22\x7f", b"\xa2\x06\x00", b"\x08\x01"])
def test_what_is_no_request_stops_the_member(data: bytes) -> None:
    with pytest.raises(InvariantError):
        decode_entry_data(data)
