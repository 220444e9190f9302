"""Builders of the request messages that both clients send: ranges, comparisons, operations, watches.

key only              the key itself
key, range_end        key <= k < range_end
key, prefix=True      all keys that begin with key (an empty key: all keys)
key, from_key=True    all keys >= key
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from etcdpy.pb import rpc_pb2 as rpc

# As a key: the smallest one. As a range end: no end.
ZERO_BYTE: Final = b"\0"

_RESULTS: Final = {
    "=": rpc.Compare.EQUAL,
    "!=": rpc.Compare.NOT_EQUAL,
    ">": rpc.Compare.GREATER,
    "<": rpc.Compare.LESS,
}


def prefix_end(prefix: bytes) -> bytes:
    """Return the first key after all keys that begin with `prefix`."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else ZERO_BYTE


def key_range(key: bytes, range_end: bytes, *, prefix: bool, from_key: bool) -> tuple[bytes, bytes]:
    """Return key and range_end as they go over the wire."""
    if prefix:
        return (key, prefix_end(key)) if key else (ZERO_BYTE, ZERO_BYTE)
    if from_key:
        return key or ZERO_BYTE, ZERO_BYTE
    return key, range_end


def range_request(
    key: bytes,
    *,
    range_end: bytes = b"",
    prefix: bool = False,
    from_key: bool = False,
    limit: int = 0,
    revision: int = 0,
    sort_order: rpc.RangeRequest.SortOrder.ValueType = rpc.RangeRequest.NONE,
    sort_target: rpc.RangeRequest.SortTarget.ValueType = rpc.RangeRequest.KEY,
    serializable: bool = False,
    keys_only: bool = False,
    count_only: bool = False,
) -> rpc.RangeRequest:
    key, range_end = key_range(key, range_end, prefix=prefix, from_key=from_key)
    # Natural order is ascending by key; asking for it explicitly would only make the server sort.
    if sort_target == rpc.RangeRequest.KEY and sort_order == rpc.RangeRequest.ASCEND:
        sort_order = rpc.RangeRequest.NONE
    return rpc.RangeRequest(
        key=key,
        range_end=range_end,
        limit=limit,
        revision=revision,
        sort_order=sort_order,
        sort_target=sort_target,
        serializable=serializable,
        keys_only=keys_only,
        count_only=count_only,
    )


def put_request(
    key: bytes,
    value: bytes = b"",
    *,
    lease: int = 0,
    prev_kv: bool = False,
    ignore_value: bool = False,
    ignore_lease: bool = False,
) -> rpc.PutRequest:
    return rpc.PutRequest(
        key=key,
        value=value,
        lease=lease,
        prev_kv=prev_kv,
        ignore_value=ignore_value,
        ignore_lease=ignore_lease,
    )


def delete_request(
    key: bytes, *, range_end: bytes = b"", prefix: bool = False, from_key: bool = False, prev_kv: bool = False
) -> rpc.DeleteRangeRequest:
    key, range_end = key_range(key, range_end, prefix=prefix, from_key=from_key)
    return rpc.DeleteRangeRequest(key=key, range_end=range_end, prev_kv=prev_kv)


def compare(target: str, key: bytes, result: str, operand: int | bytes) -> rpc.Compare:
    """Return a comparison: target version|create|mod|value|lease, result one of = != > <."""
    if result not in _RESULTS:
        raise ValueError(f"unknown comparison {result!r}: use one of {' '.join(_RESULTS)}")
    cmp = rpc.Compare(key=key, result=_RESULTS[result])
    if target == "value" and isinstance(operand, bytes):
        cmp.target, cmp.value = rpc.Compare.VALUE, operand
    elif not isinstance(operand, int):
        raise ValueError(f"{target} is compared with an integer, value with bytes; not {operand!r}")
    elif target == "version":
        cmp.target, cmp.version = rpc.Compare.VERSION, operand
    elif target == "create":
        cmp.target, cmp.create_revision = rpc.Compare.CREATE, operand
    elif target == "mod":
        cmp.target, cmp.mod_revision = rpc.Compare.MOD, operand
    elif target == "lease":
        cmp.target, cmp.lease = rpc.Compare.LEASE, operand
    else:
        raise ValueError(f"unknown target {target!r}: use version, create, mod, value or lease")
    return cmp


Operation = rpc.RangeRequest | rpc.PutRequest | rpc.DeleteRangeRequest | rpc.TxnRequest


def operation(request: Operation) -> rpc.RequestOp:
    """Wrap a request as one operation of a transaction."""
    if isinstance(request, rpc.RangeRequest):
        return rpc.RequestOp(request_range=request)
    if isinstance(request, rpc.PutRequest):
        return rpc.RequestOp(request_put=request)
    if isinstance(request, rpc.DeleteRangeRequest):
        return rpc.RequestOp(request_delete_range=request)
    return rpc.RequestOp(request_txn=request.SerializeToString())


def txn_request(
    compares: Iterable[rpc.Compare] = (),
    success: Iterable[Operation] = (),
    failure: Iterable[Operation] = (),
) -> rpc.TxnRequest:
    return rpc.TxnRequest(
        compare=compares,
        success=[operation(request) for request in success],
        failure=[operation(request) for request in failure],
    )


def is_read_only(request: rpc.TxnRequest) -> bool:
    """Whether a transaction only reads, so that it may be repeated."""
    return all(op.WhichOneof("request") == "request_range" for op in (*request.success, *request.failure))


def watch_request(
    key: bytes,
    *,
    range_end: bytes = b"",
    prefix: bool = False,
    from_key: bool = False,
    start_revision: int = 0,
    prev_kv: bool = False,
    progress_notify: bool = False,
    filters: Sequence[rpc.WatchCreateRequest.FilterType.ValueType] = (),
    fragment: bool = False,
) -> rpc.WatchCreateRequest:
    key, range_end = key_range(key, range_end, prefix=prefix, from_key=from_key)
    return rpc.WatchCreateRequest(
        key=key,
        range_end=range_end,
        start_revision=start_revision,
        prev_kv=prev_kv,
        progress_notify=progress_notify,
        filters=filters,
        fragment=fragment,
    )
