"""A transaction taken apart: compares, and two lists of operations, nested transactions inside them.

The generated code declares a nested transaction as bytes, because upb gives up at about 50 levels where Go takes any
number. Here nested ones are read level by level, in place: the cursor jumps over what is nested deeper, so the cost
grows with the bytes, not with bytes times depth.

Bytes that are no transaction give the error that a Go server gives for a request it cannot unmarshal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from google.protobuf.message import DecodeError

from etcdpy.base.errors import INTERNAL, EtcdError
from etcdpy.base.varint import decode_varint
from etcdpy.pb.rpc_pb2 import Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest

# Kinds of operations: field numbers of RequestOp. 0: the client set none.
NOTHING: Final = 0
RANGE: Final = 1
PUT: Final = 2
DELETE_RANGE: Final = 3
TXN: Final = 4

_KINDS: Final[dict[str, int]] = {
    "request_range": RANGE,
    "request_delete_range": DELETE_RANGE,
}


class Op:
    """One operation. `request` is the message of its kind; of a TXN a Span, and a TxnPlan once it was read."""

    __slots__ = ("kind", "request")

    def __init__(self, kind: int, request: Any) -> None:
        self.kind = kind
        self.request = request


class TxnPlan:
    """One level of a transaction."""

    __slots__ = ("compares", "success", "failure", "is_flat", "may_write")

    def __init__(self, compares: list[Compare], success: list[Op], failure: list[Op]) -> None:
        self.compares = compares
        self.success = success
        self.failure = failure
        self.is_flat = True  # No operation of either branch is a transaction: most are so, and are handled quicker.
        self.may_write = False  # Some operation of either branch is no range; a nested transaction counts as one.
        for branch in (success, failure):
            for op in branch:
                if op.kind != RANGE:
                    self.may_write = True
                    if op.kind == TXN:
                        self.is_flat = False


class Span:
    """Where a nested transaction that nobody has read yet stands in the bytes around it."""

    __slots__ = ("data", "start", "stop")

    def __init__(self, data: bytes, start: int, stop: int) -> None:
        self.data = data
        self.start = start
        self.stop = stop


def malformed() -> EtcdError:
    """Return the error for bytes that are no request."""
    return EtcdError("grpc: error unmarshalling request: unexpected EOF", INTERNAL)


def read_request(request: TxnRequest) -> TxnPlan:
    """Take a request apart; nested transactions stay spans."""
    return TxnPlan(list(request.compare), _ops_of(request.success), _ops_of(request.failure))


def read_all(request: TxnRequest) -> TxnPlan:
    """Take a request apart, nested transactions too."""
    root = read_request(request)
    pending = [root]
    while pending:
        plan = pending.pop()
        for branch in (plan.success, plan.failure):
            for op in branch:
                if op.kind == TXN:
                    op.request = read_nested(op.request)
                    pending.append(op.request)
    return root


def read_nested(span: Span) -> TxnPlan:
    """Read one nested level. Raise EtcdError(INTERNAL) where its bytes are none."""
    data = span.data
    compares: list[Compare] = []
    branches: dict[int, list[Op]] = {2: [], 3: []}
    try:
        for number, start, stop in _fields(data, span.start, span.stop):
            if number == 1:
                compares.append(Compare.FromString(data[start:stop]))
            elif number in branches:
                branches[number].append(_read_op(data, start, stop))
    except (DecodeError, ValueError) as error:
        raise malformed() from error
    return TxnPlan(compares, branches[2], branches[3])


def _ops_of(messages: Iterable[RequestOp]) -> list[Op]:
    ops = []
    for message in messages:
        name = message.WhichOneof("request")
        if name == "request_put":  # most of all
            ops.append(Op(PUT, message.request_put))
        elif name is None:
            ops.append(Op(NOTHING, None))
        elif name == "request_txn":
            nested = message.request_txn
            ops.append(Op(TXN, Span(nested, 0, len(nested))))
        else:
            ops.append(Op(_KINDS[name], getattr(message, name)))
    return ops


def _read_op(data: bytes, start: int, stop: int) -> Op:
    op = Op(NOTHING, None)
    for number, inner_start, inner_stop in _fields(data, start, stop):
        if number == TXN:
            op = Op(TXN, Span(data, inner_start, inner_stop))
        elif number == PUT:
            op = Op(PUT, PutRequest.FromString(data[inner_start:inner_stop]))
        elif number == RANGE:
            op = Op(RANGE, RangeRequest.FromString(data[inner_start:inner_stop]))
        elif number == DELETE_RANGE:
            op = Op(DELETE_RANGE, DeleteRangeRequest.FromString(data[inner_start:inner_stop]))
    return op


def _fields(data: bytes, position: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield (number, start, stop) of the length-delimited fields; jump over others. Raise ValueError on bad bytes."""
    while position < stop:
        tag, position = decode_varint(data, position)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise ValueError("field number 0")
        if wire == 2:
            size, position = decode_varint(data, position)
            if size > stop - position:
                raise ValueError(f"a field of {size} bytes where {stop - position} are left")
            yield number, position, position + size
            position += size
            continue
        if number <= TXN:
            raise ValueError(f"field {number} has wire type {wire}")
        position = _skip(data, position, wire)
    if position > stop:
        raise ValueError("a field passes the end of its message")


def _skip(data: bytes, position: int, wire: int) -> int:
    if wire == 0:
        return decode_varint(data, position)[1]
    if wire == 1:
        return position + 8
    if wire == 5:
        return position + 4
    raise ValueError(f"unknown wire type {wire}")
