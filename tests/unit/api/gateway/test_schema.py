"""What JSON knows of messages."""

from __future__ import annotations

from etcdpy.api.gateway.schema import BYTES, MESSAGE, TEXT, schema_of
from etcdpy.pb import rpc_pb2


def kinds(descriptor_of: type) -> dict[str, int]:
    return {field.name: field.kind for field in schema_of(descriptor_of.DESCRIPTOR).fields}  # type: ignore[attr-defined]


def test_names_in_auth_are_texts_and_keys_bytes() -> None:
    assert kinds(rpc_pb2.AuthUserAddRequest)["password"] == TEXT
    assert kinds(rpc_pb2.AuthenticateResponse)["token"] == TEXT
    assert kinds(rpc_pb2.AuthRoleRevokePermissionRequest) == {"role": TEXT, "key": BYTES, "range_end": BYTES}


def test_a_transaction_holds_transactions() -> None:
    txn = schema_of(rpc_pb2.TxnRequest.DESCRIPTOR)
    operation = next(field.type_ for field in txn.fields if field.name == "success")
    assert operation is not None
    nested = next(field for field in operation.fields if field.name == "request_txn")

    assert nested.kind == MESSAGE and nested.type_ is txn


def test_enums_are_called_as_in_etcd() -> None:
    fields = {field.name: field for field in schema_of(rpc_pb2.AlarmRequest.DESCRIPTOR).fields}

    assert fields["action"].enum_name == "etcdserverpb.AlarmRequest.AlarmAction"
    assert fields["alarm"].numbers["NOSPACE"] == 1
