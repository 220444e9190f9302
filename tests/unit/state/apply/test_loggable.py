"""What a log shows of requests: etcd's form, and nothing that is secret."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from etcdpy.pb import etcdserver_pb2, raft_internal_pb2
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.state.apply.loggable import (
    TEXT_CHARACTERS_MAX,
    TXN_LEVELS_MAX,
    compact_text,
    describe_entry,
    describe_request,
    describe_txn,
)
from etcdpy.state.mvcc import txn_plan
from etcdpy.state.mvcc.txn_plan import Op, TxnPlan, read_all

HEADER = raft_internal_pb2.RequestHeader(ID=7)


def entry(**request: object) -> str:
    return describe_entry(raft_internal_pb2.InternalRaftRequest(header=HEADER, **request).SerializeToString())  # type: ignore[arg-type]


def test_entries() -> None:
    """The form was read from a real 3.5.1 (tests/compat/test_slow_log_real.py compares more of it)."""
    put = pb.PutRequest(key=b'a"\n\x01\xff', value=b"secret", lease=5, prev_kv=True)
    assert entry(put=put) == r'header:<ID:7 > put:<key:"a\"\n\001\377" value_size:6 lease:5 prev_kv:true >'
    assert entry(lease_grant=pb.LeaseGrantRequest(TTL=5, ID=26)) == (
        "header:<ID:7 > lease_grant:<ttl:5-second id:000000000000001a>"
    )
    assert entry(lease_revoke=pb.LeaseRevokeRequest(ID=26)) == "header:<ID:7 > lease_revoke:<id:000000000000001a>"
    user = pb.AuthUserAddRequest(name=b"u", password=b"secret", hashedPassword=b"secret")
    assert entry(auth_user_add=user) == "header:<ID:7 > auth_user_add:<name:u>"


def test_the_caller_stands_in_the_header() -> None:
    header = raft_internal_pb2.RequestHeader(ID=7, username=b"u", auth_revision=3)
    request = raft_internal_pb2.InternalRaftRequest(header=header, delete_range=pb.DeleteRangeRequest(key=b"a"))
    text = describe_entry(request.SerializeToString())
    assert text == 'header:<ID:7 username:"u" auth_revision:3 > delete_range:<key:"a" > '


@pytest.mark.parametrize(
    "request_",
    [
        {"authenticate": raft_internal_pb2.InternalAuthenticateRequest(name=b"u", password=b"c9", simple_token=b"c9")},
        {"auth_user_add": pb.AuthUserAddRequest(name=b"u", password=b"c9", hashedPassword=b"c9")},
        {
            "auth_user_change_password": pb.AuthUserChangePasswordRequest(
                name=b"u", password=b"c9", hashedPassword=b"c9"
            )
        },
        {"put": pb.PutRequest(key=b"k", value=b"c9")},
        {
            "txn": pb.TxnRequest(
                compare=[pb.Compare(key=b"k", target=pb.Compare.VALUE, value=b"c9")],
                failure=[pb.RequestOp(request_put=pb.PutRequest(key=b"k", value=b"c9"))],
            )
        },
    ],
)
def test_no_secret_is_shown(request_: dict[str, object]) -> None:
    text = entry(**request_)
    assert "c9" not in text and "header:<ID:7 >" in text


def test_v2_requests_show_no_value() -> None:
    request = etcdserver_pb2.Request(ID=7, Method=b"PUT", Path=b"/0/version", Val=b"c9", PrevValue=b"c9")
    assert describe_entry(request.SerializeToString()) == (
        'ID:7 Method:"PUT" Path:"/0/version" Val_size:2 PrevValue_size:2 '
    )


def test_transactions() -> None:
    txn = pb.TxnRequest(
        compare=[
            pb.Compare(key=b"a", target=pb.Compare.MOD, mod_revision=0),
            pb.Compare(key=b"a", target=pb.Compare.VALUE, value=b"secret", range_end=b"b"),
        ],
        success=[pb.RequestOp(request_put=pb.PutRequest(key=b"a", value=b"v")), pb.RequestOp()],
        failure=[
            pb.RequestOp(request_range=pb.RangeRequest(key=b"a", sort_order=pb.RangeRequest.DESCEND)),
            pb.RequestOp(
                request_txn=pb.TxnRequest(
                    success=[pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=b"a"))]
                ).SerializeToString()
            ),
        ],
    )
    text = (
        'compare:<target:MOD key:"a" mod_revision:0  target:VALUE key:"a" value_size:6 range_end:"b" > '
        'success:<request_put:<key:"a" value_size:1 > > '
        'failure:<request_range:<key:"a" sort_order:DESCEND >  '
        'request_txn:<compare:<> success:<request_delete_range:<key:"a" > > failure:<>>>'
    )
    assert describe_txn(txn) == text
    assert describe_request(read_all(txn)) == text  # as it is while it is applied


def test_what_is_long_or_deep_is_cut() -> None:
    text = describe_request(pb.RangeRequest(key=b"k" * 1_000_000))
    assert len(text) == TEXT_CHARACTERS_MAX + 3 and text.endswith("k...")
    nested = pb.TxnRequest(success=[pb.RequestOp(request_put=pb.PutRequest(key=b"deepest"))])
    for _ in range(3000):
        nested = pb.TxnRequest(success=[pb.RequestOp(request_txn=nested.SerializeToString())])
        if nested.ByteSize() > 60_000:
            break
    shown = describe_txn(nested)
    assert shown.count("request_txn") == TXN_LEVELS_MAX and "deepest" not in shown and "..." in shown


def test_numbers_that_have_no_name_stay_numbers() -> None:
    assert compact_text(pb.RangeRequest(key=b"a", sort_order=9)) == 'key:"a" sort_order:9 '  # type: ignore[arg-type]


class Ops(list[Op]):
    """Operations that count how many of them were looked at."""

    looks = 0

    def __iter__(self) -> Iterator[Op]:
        for op in super().__iter__():
            self.looks += 1
            yield op


def test_of_a_large_transaction_no_more_is_made_than_is_shown() -> None:
    """A client may have each of its requests fail, and everybody waits while the text is made."""
    ops = Ops(Op(txn_plan.PUT, pb.PutRequest(key=b"\x01" * 11_000)) for _ in range(100))
    plan = TxnPlan([], ops, [])
    ops.looks = 0
    text = describe_txn(plan)

    assert len(text) == TEXT_CHARACTERS_MAX + 3 and text.endswith("...")
    assert ops.looks == 1
    many = pb.LeaseCheckpointRequest(checkpoints=[pb.LeaseCheckpoint(ID=number) for number in range(100_000)])
    assert len(compact_text(many)) < TEXT_CHARACTERS_MAX + 100
