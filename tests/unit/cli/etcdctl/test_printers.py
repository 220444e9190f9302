"""Forms that a plain server does not make us print: alarms, oneofs, nested transactions, wrapped tables."""

from __future__ import annotations

import io

import pytest

from etcdpy.cli.etcdctl.exits import BAD_FEATURE, Exit
from etcdpy.cli.etcdctl.printer.choice import make_printer
from etcdpy.cli.etcdctl.printer.json import json_message
from etcdpy.cli.etcdctl.printer.table import table_lines, wrap
from etcdpy.pb import rpc_pb2 as rpc


def printed(name: str, response: rpc.AlarmResponse) -> bytes:
    out = io.BytesIO()
    make_printer(name, out, hex_wanted=False).alarms(response)
    return out.getvalue()


def test_alarms_in_every_format() -> None:
    response = rpc.AlarmResponse(
        alarms=[rpc.AlarmMember(memberID=7, alarm=rpc.NOSPACE), rpc.AlarmMember(alarm=rpc.CORRUPT)]
    )
    assert printed("simple", response) == b"memberID:7 alarm:NOSPACE \nalarm:CORRUPT \n"
    assert printed("json", response) == b'{"alarms":[{"memberID":7,"alarm":1},{"alarm":2}]}\n'
    assert b'"MemberID" : 7\n"AlarmType" : NOSPACE\n\n' in printed("fields", response)
    with pytest.raises(Exit) as caught:
        printed("table", response)
    assert (caught.value.code, caught.value.text) == (BAD_FEATURE, "table not supported as output format")


def test_downgrades_in_every_format() -> None:
    response = rpc.DowngradeResponse(header=rpc.ResponseHeader(cluster_id=1), version="3.5.0")

    def printed_as(name: str) -> bytes:
        out = io.BytesIO()
        make_printer(name, out, hex_wanted=False).downgrade("enable", response)
        return out.getvalue()

    assert printed_as("simple") == b"Downgrade enable success, cluster version 3.5.0\n"
    assert printed_as("json") == b'{"header":{"cluster_id":1},"version":"3.5.0"}\n'
    assert printed_as("protobuf") == response.SerializeToString()
    for name in ("fields", "table"):
        with pytest.raises(Exit) as caught:
            printed_as(name)
        assert caught.value.text == f"{name} not supported as output format"


def test_json_leaves_zeros_and_younger_fields_out() -> None:
    status = rpc.StatusResponse(version="3.5.1", dbSizeQuota=5, storageVersion="3.6", errors=["a<b"])
    assert json_message(status) == '{"version":"3.5.1","errors":["a\\u003cb"]}'
    assert json_message(rpc.AlarmResponse()) == "{}"


def test_json_of_nested_transactions() -> None:
    inner = rpc.TxnResponse(succeeded=True, responses=[rpc.ResponseOp(response_put=rpc.PutResponse())])
    outer = rpc.TxnResponse(responses=[rpc.ResponseOp(response_txn=inner.SerializeToString())])
    assert json_message(outer) == (
        '{"responses":[{"Response":{"response_txn":{"succeeded":true,"responses":[{"Response":{"response_put":{}}}]}}}]}'
    )


def test_tables_are_boxed_and_aligned_to_the_right() -> None:
    assert table_lines(("id", "is it"), [["1", "true"], ["234", "x"]]) == [
        "+-----+-------+",
        "| ID  | IS IT |",
        "+-----+-------+",
        "|   1 |  true |",
        "| 234 |     x |",
        "+-----+-------+",
    ]


def test_long_cells_break_into_even_lines() -> None:
    assert wrap("short") == ["short"]
    assert wrap("") == [""]
    assert wrap("memberID:1 alarm:NOSPACE memberID:2 alarm:NOSPACE") == [
        "memberID:1 alarm:NOSPACE",
        "memberID:2 alarm:NOSPACE",
    ]
    assert wrap("http://a-very-long-word-that-cannot-be-broken x") == [
        "http://a-very-long-word-that-cannot-be-broken",
        "x",
    ]
