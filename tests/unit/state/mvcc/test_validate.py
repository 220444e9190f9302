"""What is refused without looking at the store. The cases were tried on a running 3.5.1."""

from __future__ import annotations

import pytest

from etcdpy.base.errors import (
    DuplicateKey,
    EmptyKey,
    EtcdError,
    InvalidSortOption,
    KeyNotFound,
    LeaseProvided,
    TooManyOps,
    ValueProvided,
)
from etcdpy.pb.rpc_pb2 import Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest
from etcdpy.state.mvcc.txn import is_txn_readonly, is_txn_serializable
from etcdpy.state.mvcc.validate import (
    check_delete_request,
    check_put_request,
    check_range_request,
    check_txn_request,
)

Part = PutRequest | RangeRequest | DeleteRangeRequest | TxnRequest | None


def op(part: Part) -> RequestOp:
    if isinstance(part, PutRequest):
        return RequestOp(request_put=part)
    if isinstance(part, RangeRequest):
        return RequestOp(request_range=part)
    if isinstance(part, DeleteRangeRequest):
        return RequestOp(request_delete_range=part)
    return RequestOp() if part is None else RequestOp(request_txn=part.SerializeToString())


def txn(*success: Part, otherwise: tuple[Part, ...] = (), compare: tuple[Compare, ...] = ()) -> TxnRequest:
    return TxnRequest(compare=compare, success=[op(p) for p in success], failure=[op(p) for p in otherwise])


def put(key: bytes) -> PutRequest:
    return PutRequest(key=key)


def delete(key: bytes, end: bytes = b"") -> DeleteRangeRequest:
    return DeleteRangeRequest(key=key, range_end=end)


def nested(levels: int) -> TxnRequest:
    request = txn(put(b"deep"))
    for _ in range(levels):
        request = txn(request)
    return request


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (PutRequest(), EmptyKey),
        (PutRequest(key=b"a", value=b"1", ignore_value=True), ValueProvided),
        (PutRequest(key=b"a", lease=1, ignore_lease=True), LeaseProvided),
        (PutRequest(key=b"a", value=b"1", lease=1, ignore_value=True, ignore_lease=True), ValueProvided),
    ],
)
def test_puts(request_: PutRequest, error: type[EtcdError]) -> None:
    with pytest.raises(error):
        check_put_request(request_)


def test_reads_and_deletes_need_a_key() -> None:
    with pytest.raises(EmptyKey):
        check_range_request(RangeRequest(range_end=b"a"))
    with pytest.raises(EmptyKey):
        check_delete_request(DeleteRangeRequest(range_end=b"a"))


def test_a_sort_target_that_nobody_knows_is_refused_and_an_unknown_order_is_not() -> None:
    unknown_target, unknown_order = RangeRequest(key=b"a"), RangeRequest(key=b"a")
    unknown_target.sort_target = 7  # type: ignore[assignment]
    unknown_order.sort_order = -1  # type: ignore[assignment]

    with pytest.raises(InvalidSortOption):
        check_range_request(unknown_target)
    check_range_request(unknown_order)


@pytest.mark.parametrize(
    "request_",
    [
        txn(put(b"b"), put(b"b")),
        txn(delete(b"a", b"z"), put(b"b")),
        txn(put(b"b"), delete(b"b")),
        txn(put(b"b"), txn(put(b"b"))),
        txn(txn(put(b"b")), txn(otherwise=(put(b"b"),))),
        txn(txn(delete(b"b")), txn(put(b"b"))),
        txn(otherwise=(put(b"b"), txn(txn(delete(b"a", b"c"))))),
    ],
)
def test_a_branch_puts_a_key_once_and_does_not_delete_it(request_: TxnRequest) -> None:
    with pytest.raises(DuplicateKey):
        check_txn_request(request_, 128)


@pytest.mark.parametrize(
    "request_",
    [
        txn(put(b"b"), otherwise=(put(b"b"),)),
        txn(txn(put(b"b"), otherwise=(put(b"b"),))),
        txn(txn(delete(b"b"), otherwise=(put(b"b"),))),
        txn(txn(put(b"b"), otherwise=(delete(b"b"),))),
        txn(txn(put(b"b")), txn(delete(b"b"))),
        txn(delete(b"b"), delete(b"a", b"c")),
        txn(delete(b"a", b"\0"), put(b"b")),
        txn(delete(b"c", b"a"), put(b"b")),
    ],
)
def test_what_does_not_count_as_a_conflict(request_: TxnRequest) -> None:
    check_txn_request(request_, 128)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (txn(None), KeyNotFound),
        (txn(put(b"")), EmptyKey),
        (txn(txn(put(b""))), EmptyKey),
        (txn(compare=(Compare(),)), EmptyKey),
        (txn(*[put(b"%d" % n) for n in range(5)]), TooManyOps),
        (txn(*[put(b"%d" % n) for n in range(3)], txn(put(b"x"))), TooManyOps),
        (nested(4), TooManyOps),
    ],
)
def test_operations_are_counted_and_checked_on_all_levels(request_: TxnRequest, error: type[EtcdError]) -> None:
    with pytest.raises(error):
        check_txn_request(request_, 4)


def test_nesting_is_limited_by_the_operations_only() -> None:
    check_txn_request(nested(127), 128)
    check_txn_request(nested(3000), 5000)
    with pytest.raises(TooManyOps):
        check_txn_request(nested(128), 128)


@pytest.mark.parametrize("bad", [b"\xff\xff", b"\x12\x05abc", b"\x12\x04\x12\x02\x0a\x05", b"\x0a\x01\xff", b"\x03"])
def test_bytes_that_are_no_transaction_are_what_a_server_cannot_unmarshal(bad: bytes) -> None:
    request = TxnRequest(success=[RequestOp(request_txn=bad)])

    with pytest.raises(EtcdError) as caught:
        check_txn_request(request, 128)

    assert caught.value.code == 13


def test_only_ranges_that_are_not_nested_stay_out_of_the_log() -> None:
    read, stale = RangeRequest(key=b"a"), RangeRequest(key=b"a", serializable=True)

    assert is_txn_readonly(check_txn_request(txn(), 128))
    assert is_txn_readonly(check_txn_request(txn(read, otherwise=(stale,)), 128))
    assert not is_txn_readonly(check_txn_request(txn(read, otherwise=(delete(b"a"),)), 128))
    assert not is_txn_readonly(check_txn_request(txn(read, txn(stale)), 128))
    assert not is_txn_readonly(check_txn_request(txn(txn()), 128))
    assert is_txn_serializable(check_txn_request(txn(stale, otherwise=(stale,)), 128))
    assert not is_txn_serializable(check_txn_request(txn(stale, otherwise=(read,)), 128))
