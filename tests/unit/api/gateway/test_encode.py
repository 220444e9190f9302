"""From bytes to JSON."""

from __future__ import annotations

import pytest

from etcdpy.api.gateway.encode import write_message
from etcdpy.api.gateway.schema import schema_of
from etcdpy.base.invariant import InvariantError
from etcdpy.pb import kv_pb2, rpc_pb2


def test_names_order_and_kinds() -> None:
    response = rpc_pb2.RangeResponse(
        header=rpc_pb2.ResponseHeader(cluster_id=(1 << 64) - 1, revision=3),
        kvs=[kv_pb2.KeyValue(key=b"foo", create_revision=2, lease=-1)],
        more=True,
        count=1,
    )

    assert write_message(schema_of(rpc_pb2.RangeResponse.DESCRIPTOR), response.SerializeToString()) == (
        '{"header":{"cluster_id":"18446744073709551615","revision":"3"},'
        '"kvs":[{"key":"Zm9v","create_revision":"2","lease":"-1"}],"more":true,"count":"1"}'
    )


def test_enums_by_name_or_else_by_number_and_small_numbers_bare() -> None:
    alarms = rpc_pb2.AlarmResponse(alarms=[rpc_pb2.AlarmMember(memberID=7, alarm=rpc_pb2.NOSPACE)])
    alarms.alarms.add().alarm = 9  # type: ignore[assignment]
    hashed = rpc_pb2.HashResponse(hash=4_000_000_000)

    assert (
        write_message(schema_of(rpc_pb2.AlarmResponse.DESCRIPTOR), alarms.SerializeToString())
        == '{"alarms":[{"memberID":"7","alarm":"NOSPACE"},{"alarm":9}]}'
    )
    assert (
        write_message(schema_of(rpc_pb2.HashResponse.DESCRIPTOR), hashed.SerializeToString()) == '{"hash":4000000000}'
    )


def test_texts_of_auth_are_texts_and_nested_transactions_messages() -> None:
    users = rpc_pb2.AuthUserListResponse(users=[b"root", b"\xff"])
    inner = rpc_pb2.TxnResponse(succeeded=True).SerializeToString()
    outer = rpc_pb2.TxnResponse(responses=[rpc_pb2.ResponseOp(response_txn=inner)])

    assert (
        write_message(schema_of(rpc_pb2.AuthUserListResponse.DESCRIPTOR), users.SerializeToString())
        == '{"users":["root","\ufffd"]}'
    )
    assert (
        write_message(schema_of(rpc_pb2.TxnResponse.DESCRIPTOR), outer.SerializeToString())
        == '{"responses":[{"response_txn":{"succeeded":true}}]}'
    )


def test_what_is_no_message_of_ours_is_our_bug() -> None:
    with pytest.raises(InvariantError):
        write_message(schema_of(rpc_pb2.HashResponse.DESCRIPTOR), b"\x15\0\0\0\0")
