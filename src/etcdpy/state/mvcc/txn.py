"""Transactions: choose, check, then do.

    choose   every compare, nested ones too, is made against the state before the transaction; this gives one flat list
             of steps, the operations that will be done, with marks where a nested transaction begins and ends
    check    everything that could fail: first all puts, then all ranges, as etcd does. Nothing is written yet
    do       in order; each operation sees the ones before it. Nothing can fail any more

A read at a compacted or future revision therefore fails before any write (etcd issue 18667). All writes share one main
revision. No recursion: depth is the client's choice.

Upstream: etcdserver/apply.go, applierV3backend.Txn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etcdpy.base.errors import Compacted, FutureRev, KeyNotFound, LeaseNotFound
from etcdpy.base.varint import encode_varint
from etcdpy.pb.rpc_pb2 import Compare, PutRequest, RangeRequest, TxnRequest
from etcdpy.state.mvcc.answer import Answer
from etcdpy.state.mvcc.compare import holds
from etcdpy.state.mvcc.key_value import encode_revision_varint
from etcdpy.state.mvcc.txn_plan import DELETE_RANGE, PUT, RANGE, TXN, Op, TxnPlan, read_all

if TYPE_CHECKING:
    from etcdpy.state.mvcc.store import Store

# Marks among the steps, beside the kinds of operations: where a nested transaction begins (with its outcome) and ends.
_BEGIN: Final = 5
_END: Final = 6

_RESPONSE_TAGS: Final = {RANGE: b"\x0a", PUT: b"\x12", DELETE_RANGE: b"\x1a", TXN: b"\x22"}
# A nested header that holds a revision of so many bytes: up to the revision itself.
_HEADER_PREFIXES: Final = [b"\x0a" + bytes((size + 1,)) + b"\x18" for size in range(11)]
_SUCCEEDED: Final = b"\x10\x01"
# A nested response has a header, with nothing in it.
_EMPTY_HEADER: Final = b"\x0a\x00"
_END_OP: Final = Op(_END, None)


def apply(store: Store, request: TxnRequest | TxnPlan) -> Answer:
    """Carry out a transaction that passed check_txn_request."""
    plan = request if isinstance(request, TxnPlan) else read_all(request)
    succeeded, steps = _choose(store, plan)
    _check(store, steps)
    if len(steps) > 1:
        store.counters.txns += 1
    parts = _run(store, steps)
    if succeeded:
        parts.insert(0, _SUCCEEDED)
    return Answer(store.finish_revision(), b"".join(parts))


def is_txn_readonly(plan: TxnPlan) -> bool:
    """Return whether the transaction need not enter the log: ranges only, and none nested.

    One that holds others goes through the log even where these only read, as with etcd: it is linearizable then, which
    running it here is not when its ranges say serializable, or when all it does is to compare.
    """
    return not plan.may_write


def is_txn_serializable(plan: TxnPlan) -> bool:
    """Return whether every operation of a read-only transaction may be answered from local state."""
    return all(op.request.serializable for branch in (plan.success, plan.failure) for op in branch)


# -- choose


def _choose(store: Store, plan: TxnPlan) -> tuple[bool, list[Op]]:
    """Return the outcome of the compares on top, and the steps that follow from all compares."""
    succeeded = _all_hold(store, plan.compares)
    branch = plan.success if succeeded else plan.failure
    return succeeded, branch if plan.is_flat else _flatten(store, branch)


def _flatten(store: Store, branch: list[Op]) -> list[Op]:
    steps: list[Op] = []
    stack = [iter(branch)]
    while stack:
        for op in stack[-1]:
            if op.kind != TXN:
                steps.append(op)
                continue
            plan = op.request
            succeeded = _all_hold(store, plan.compares)
            steps.append(Op(_BEGIN, succeeded))
            stack.append(iter(plan.success if succeeded else plan.failure))
            break
        else:
            stack.pop()
            if stack:
                steps.append(_END_OP)
    return steps


def _all_hold(store: Store, compares: list[Compare]) -> bool:
    for compare in compares:
        if not holds(compare, store.index, store.backend):
            return False
    return True


# -- check


def _check(store: Store, steps: list[Op]) -> None:
    for op in steps:
        if op.kind == PUT:
            _check_put(store, op.request)
    for op in steps:
        if op.kind == RANGE and op.request.revision:
            _check_range(store, op.request)


def _check_put(store: Store, request: PutRequest) -> None:
    if (request.ignore_value or request.ignore_lease) and store.index.get(request.key) is None:
        raise KeyNotFound
    if request.lease and not store.lessor.exists(request.lease):
        raise LeaseNotFound


def _check_range(store: Store, request: RangeRequest) -> None:
    if request.revision > store.current_revision:
        raise FutureRev
    if request.revision < store.compact_revision:
        raise Compacted


# -- do


def _run(store: Store, steps: list[Op]) -> list[bytes]:
    """Do the steps; return the responses, each as a field of its TxnResponse."""
    parts: list[bytes] = []
    outer: list[list[bytes]] = []
    for op in steps:
        kind = op.kind
        if kind == PUT:
            parts.append(_response(PUT, store, store.execute_put(op.request)))
        elif kind == RANGE:
            parts.append(_response(RANGE, store, store.range(op.request).body))
        elif kind == DELETE_RANGE:
            parts.append(_response(DELETE_RANGE, store, store.execute_delete_range(op.request)))
        elif kind == _BEGIN:
            outer.append(parts)
            parts = [_EMPTY_HEADER, _SUCCEEDED] if op.request else [_EMPTY_HEADER]
        elif kind == _END:
            nested = b"".join(parts)
            parts = outer.pop()
            parts.append(_field(TXN, nested))
        else:
            parts.append(b"\x1a\x00")
    return parts


def _response(kind: int, store: Store, body: bytes) -> bytes:
    revision = encode_revision_varint(store.visible_revision)
    return _field(kind, _HEADER_PREFIXES[len(revision)] + revision + body)


def _field(kind: int, response: bytes) -> bytes:
    """Return a response inside of its ResponseOp, inside of the field `responses`."""
    inner = _RESPONSE_TAGS[kind] + encode_varint(len(response)) + response
    return b"\x1a" + encode_varint(len(inner)) + inner
