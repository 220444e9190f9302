"""Ranges, comparisons, endpoints and errors as the clients build them."""

from __future__ import annotations

import pytest

from etcdpy.base.errors import CANCELED, DEADLINE_EXCEEDED, UNAVAILABLE, Compacted, EtcdError
from etcdpy.client import errors
from etcdpy.client.endpoint import Endpoint
from etcdpy.client.request import compare, is_read_only, prefix_end, put_request, range_request, txn_request
from etcdpy.pb import rpc_pb2 as rpc


@pytest.mark.parametrize(
    ("prefix", "end"), [(b"a", b"b"), (b"a\xff", b"b"), (b"\xff\xff", b"\0"), (b"", b"\0"), (b"ab\xfe", b"ab\xff")]
)
def test_prefix_end_is_the_first_key_after(prefix: bytes, end: bytes) -> None:
    assert end == prefix_end(prefix)


def test_ranges() -> None:
    assert range_request(b"", prefix=True) == rpc.RangeRequest(key=b"\0", range_end=b"\0")
    assert range_request(b"", from_key=True) == rpc.RangeRequest(key=b"\0", range_end=b"\0")
    assert range_request(b"k", from_key=True) == rpc.RangeRequest(key=b"k", range_end=b"\0")
    assert range_request(b"k", sort_order=rpc.RangeRequest.ASCEND) == rpc.RangeRequest(key=b"k")


def test_a_comparison_needs_the_right_operand() -> None:
    with pytest.raises(ValueError, match="integer"):
        compare("mod", b"k", ">", b"5")
    with pytest.raises(ValueError, match="unknown comparison"):
        compare("mod", b"k", ">=", 5)
    with pytest.raises(ValueError, match="unknown target"):
        compare("size", b"k", ">", 5)


def test_only_transactions_without_writes_are_repeatable() -> None:
    assert is_read_only(txn_request((), [range_request(b"k")]))
    assert not is_read_only(txn_request((), [range_request(b"k")], [put_request(b"k")]))
    assert not is_read_only(txn_request((), [txn_request()]))


@pytest.mark.parametrize(
    ("text", "address", "with_tls", "without"),
    [
        ("h:1", "h:1", True, False),
        ("http://h:1", "h:1", False, False),
        ("https://h:1/", "h:1", True, True),
        ("unix:///s", "unix:/s", False, False),
        ("unixs:///s", "unix:/s", True, True),
    ],
)
def test_endpoints(text: str, address: str, with_tls: bool, without: bool) -> None:
    endpoint = Endpoint(text)
    assert (endpoint.address, endpoint.uses_tls(True), endpoint.uses_tls(False)) == (address, with_tls, without)


def test_statuses_become_errors_of_the_client() -> None:
    assert type(errors.client_error(EtcdError(Compacted.text, Compacted.code))) is Compacted
    assert str(errors.client_error(EtcdError("x", DEADLINE_EXCEEDED))) == "context deadline exceeded"
    assert str(errors.client_error(EtcdError("x", CANCELED))) == "context canceled"
    assert str(errors.client_error(EtcdError("x", UNAVAILABLE))) == "rpc error: code = Unavailable desc = x"


def test_dial_errors_are_worded_as_in_go() -> None:
    refused = errors.dial_error("h:1", "tcp", ConnectionRefusedError(111, "Connection refused"))
    assert refused.text.endswith('dial tcp h:1: connect: connection refused"')
    assert errors.dial_error("h:1", "tcp", TimeoutError("timed out")).text.endswith('h:1: i/o timeout"')
    assert errors.handshake_reason("SSLV3_ALERT_BAD_CERTIFICATE", "") == "remote error: tls: bad certificate"
    assert errors.handshake_reason(None, "self-signed certificate") == "x509: certificate signed by unknown authority"
