"""What clients ask for, as plain values, and what they were told.

Requests are small frozen records, so that the model and the checker need no protobuf; `to_proposal` makes of one what
the service takes, `read_answer` makes of the service's bytes a tuple that can be compared. A history is a list of
`Operation`s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from etcdpy.base.errors import EtcdError
from etcdpy.pb import rpc_pb2
from etcdpy.pb.kv_pb2 import KeyValue
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.mvcc.answer import Answer

# The first and last key of everything: what a range over all keys says (facts 1.3).
ALL_KEYS: Final = b"\0"

# What became of an operation.
PENDING: Final = "pending"  # nobody has answered; at the end of a history the same as unknown
OK: Final = "ok"
REFUSED: Final = "refused"  # surely without effect
UNKNOWN: Final = "unknown"  # it may have happened, or may yet happen

VERSION: Final = "version"
MOD_REVISION: Final = "mod"
VALUE: Final = "value"


@dataclass(frozen=True, slots=True)
class Put:
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete one key, or all from `key` to before `end`."""

    key: bytes
    end: bytes = b""


@dataclass(frozen=True, slots=True)
class Range:
    """Read one key, or all from `key` to before `end`; as of `revision` unless that is 0."""

    key: bytes
    end: bytes = b""
    revision: int = 0
    is_serializable: bool = False


@dataclass(frozen=True, slots=True)
class Compare:
    """True where the key's `target` equals `operand`."""

    key: bytes
    target: str
    operand: int | bytes


@dataclass(frozen=True, slots=True)
class Txn:
    compares: tuple[Compare, ...]
    success: tuple[Put | Delete | Range, ...]
    failure: tuple[Put | Delete | Range, ...]


@dataclass(frozen=True, slots=True)
class Compact:
    revision: int


Request = Put | Delete | Range | Txn | Compact
Response = tuple[Any, ...]  # see `read_answer`
Item = tuple[bytes, bytes, int, int, int]  # key, value, create revision, mod revision, version


class Operation:
    """One request of one client. Times are numbers of events: they order everything that a run does."""

    __slots__ = ("number", "client", "request", "member", "invoked", "returned", "outcome", "revision", "response")

    def __init__(self, number: int, client: int, request: Request, invoked: int, member: int = 0) -> None:
        self.number = number
        self.client = client
        self.request = request
        self.member = member  # which life of which member was asked: see `Process.life`
        self.invoked = invoked
        self.returned: int | None = None  # Invariant: above `invoked`.
        self.outcome = PENDING
        self.revision = 0  # of the answer's header
        self.response: Response = ()

    def __repr__(self) -> str:
        return (
            f"#{self.number} client {self.client} {self.request} [{self.invoked}, {self.returned}] "
            f"{self.outcome} {self.response} at {self.revision}"
        )

    @property
    def is_read(self) -> bool:
        """It never enters the log."""
        return isinstance(self.request, Range)

    def finish(self, now: int, outcome: str, revision: int = 0, response: Response = ()) -> Operation:
        self.returned = now
        self.outcome = outcome
        self.revision = revision
        self.response = response
        return self


# -- to the server


def to_proposal(request: Request) -> tuple[int, Any]:
    """Return kind and message of a request."""
    if isinstance(request, Put):
        return kinds.PUT, rpc_pb2.PutRequest(key=request.key, value=request.value)
    if isinstance(request, Delete):
        return kinds.DELETE_RANGE, rpc_pb2.DeleteRangeRequest(key=request.key, range_end=request.end)
    if isinstance(request, Range):
        return kinds.RANGE, _range_message(request)
    if isinstance(request, Compact):
        return kinds.COMPACTION, rpc_pb2.CompactionRequest(revision=request.revision)
    message = rpc_pb2.TxnRequest()
    for compare in request.compares:
        _add_compare(message, compare)
    for op in request.success:
        _fill_op(message.success.add(), op)
    for op in request.failure:
        _fill_op(message.failure.add(), op)
    return kinds.TXN, message


def _range_message(request: Range) -> rpc_pb2.RangeRequest:
    return rpc_pb2.RangeRequest(
        key=request.key, range_end=request.end, revision=request.revision, serializable=request.is_serializable
    )


def _add_compare(message: rpc_pb2.TxnRequest, compare: Compare) -> None:
    added = message.compare.add(key=compare.key, result=rpc_pb2.Compare.EQUAL)
    if compare.target == VALUE:
        added.target = rpc_pb2.Compare.VALUE
        added.value = bytes(compare.operand)
    elif compare.target == VERSION:
        added.target = rpc_pb2.Compare.VERSION
        added.version = int(compare.operand)
    else:
        added.target = rpc_pb2.Compare.MOD
        added.mod_revision = int(compare.operand)


def _fill_op(message: rpc_pb2.RequestOp, op: Put | Delete | Range) -> None:
    _, body = to_proposal(op)
    if isinstance(op, Put):
        message.request_put.CopyFrom(body)
    elif isinstance(op, Delete):
        message.request_delete_range.CopyFrom(body)
    else:
        message.request_range.CopyFrom(body)


# -- and back


def read_answer(request: Request, answer: Answer | EtcdError) -> Response:
    """Return what the client learns, in a form that compares.

    Put, Compact: ("ok",). Delete: ("deleted", n). Range: ("found", items). Txn: ("txn", succeeded, responses).
    An error that the state machine gives: ("error", its name).
    """
    if isinstance(answer, EtcdError):
        return ("error", type(answer).__name__)
    if isinstance(request, Put | Compact):
        return ("ok",)
    if isinstance(request, Delete):
        return ("deleted", rpc_pb2.DeleteRangeResponse.FromString(answer.body).deleted)
    if isinstance(request, Range):
        return ("found", _items(rpc_pb2.RangeResponse.FromString(answer.body)))
    message = rpc_pb2.TxnResponse.FromString(answer.body)
    return ("txn", message.succeeded, tuple([_read_op(op) for op in message.responses]))


def _read_op(op: rpc_pb2.ResponseOp) -> Response:
    which = op.WhichOneof("response")
    if which == "response_put":
        return ("ok",)
    if which == "response_delete_range":
        return ("deleted", op.response_delete_range.deleted)
    return ("found", _items(op.response_range))


def _items(message: rpc_pb2.RangeResponse) -> tuple[Item, ...]:
    return tuple([_item(kv) for kv in message.kvs])


def _item(kv: KeyValue) -> Item:
    return (kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version)
