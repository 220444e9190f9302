"""What can be said against a request without looking at the store: the checks before anything is proposed.

Each check raises the EtcdError that the client is told. Order matters: the first thing wrong is what etcd reports.

A transaction's branch may put a key once, and must not put what it deletes. Nested transactions count in; the two
branches of a nested one exclude each other, so the same key may be put in both.

Upstream: etcdserver/api/v3rpc/key.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from etcdpy.base.errors import (
    DuplicateKey,
    EmptyKey,
    InvalidSortOption,
    KeyNotFound,
    LeaseProvided,
    TooManyOps,
    ValueProvided,
)
from etcdpy.pb.rpc_pb2 import DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest
from etcdpy.state.mvcc.intervals import Intervals
from etcdpy.state.mvcc.txn_plan import DELETE_RANGE, PUT, RANGE, TXN, Op, TxnPlan, read_nested, read_request

SORT_ORDERS: Final = range(RangeRequest.NONE, RangeRequest.DESCEND + 1)
SORT_TARGETS: Final = range(RangeRequest.KEY, RangeRequest.VALUE + 1)


def check_range_request(request: RangeRequest) -> None:
    """Refuse a range without key, or sorted by something that nobody knows."""
    if not request.key:
        raise EmptyKey
    # An unknown order means unsorted in 3.5, whatever the target. Of an unknown target with a known order 3.5.1 dies
    # (etcd issue 13554); 3.6 refuses both.
    if request.sort_target not in SORT_TARGETS and request.sort_order in SORT_ORDERS:
        raise InvalidSortOption


def check_put_request(request: PutRequest) -> None:
    """Refuse a put without key, or which gives what it wants to keep."""
    if not request.key:
        raise EmptyKey
    if request.ignore_value and request.value:
        raise ValueProvided
    if request.ignore_lease and request.lease:
        raise LeaseProvided


def check_delete_request(request: DeleteRangeRequest) -> None:
    """Refuse a delete without key."""
    if not request.key:
        raise EmptyKey


def check_txn_request(request: TxnRequest, max_ops: int) -> TxnPlan:
    """Refuse a transaction that is too large, holds a bad operation, or puts a key twice. Return it taken apart."""
    plan = read_request(request)
    _check_operations(plan, max_ops)
    _check_duplicates(plan.success)
    _check_duplicates(plan.failure)
    return plan


def _check_operations(root: TxnPlan, max_ops: int) -> None:
    """Check level by level, depth first as etcd does, without recursion: depth is the client's choice."""
    if root.is_flat:
        for op in _enter(root, max_ops)[0]:
            _check_operation(op)
        return
    stack: list[tuple[Iterator[Op], int]] = [_enter(root, max_ops)]
    while stack:
        ops, budget = stack[-1]
        for op in ops:
            if op.kind == TXN:
                op.request = read_nested(op.request)
                stack.append(_enter(op.request, budget))
                break
            _check_operation(op)
        else:
            stack.pop()


def _enter(plan: TxnPlan, budget: int) -> tuple[Iterator[Op], int]:
    """Check one level without its operations; return these, and how many nested ones may have."""
    ops = max(len(plan.compares), len(plan.success), len(plan.failure))
    if ops > budget:
        raise TooManyOps
    for compare in plan.compares:
        if not compare.key:
            raise EmptyKey
    return chain(plan.success, plan.failure), budget - ops


def _check_operation(op: Op) -> None:
    if op.kind == PUT:
        check_put_request(op.request)
    elif op.kind == RANGE:
        check_range_request(op.request)
    elif op.kind == DELETE_RANGE:
        check_delete_request(op.request)
    else:
        raise KeyNotFound


class _Branch:
    """What a branch puts and deletes, while it is being gathered."""

    __slots__ = ("ops", "nested", "puts", "deletes", "waits")

    def __init__(self, ops: list[Op]) -> None:
        self.ops = ops
        self.nested = iter([op.request for op in ops if op.kind == TXN])
        self.puts: set[bytes] = set()
        self.deletes = Intervals()
        self.waits = False  # Its next nested transaction's branches are being gathered.
        for op in ops:
            if op.kind == DELETE_RANGE:
                start = op.request.key
                # "\0" as an end is taken literally here, as etcd does: such a delete conflicts with nothing.
                self.deletes.add(start, op.request.range_end or start + b"\0")

    def absorb(self, then: _Branch, otherwise: _Branch) -> None:
        """Take in both branches of a nested transaction, which exclude each other.

        Their puts count against deletes of this level and of nested transactions before them, not of later ones.
        """
        for nested in (then, otherwise):
            if not self.puts.isdisjoint(nested.puts):
                raise DuplicateKey
            self._check_not_deleted(nested.puts)
        for nested in (then, otherwise):
            self.puts |= nested.puts
            self.deletes.update(nested.deletes)

    def finish(self) -> None:
        """Add the branch's own puts, after everything nested."""
        for op in self.ops:
            if op.kind == PUT:
                key = op.request.key
                if key in self.puts or self.deletes.holds(key):
                    raise DuplicateKey
                self.puts.add(key)

    def _check_not_deleted(self, keys: set[bytes]) -> None:
        if len(self.deletes):
            for key in keys:
                if self.deletes.holds(key):
                    raise DuplicateKey


def _check_duplicates(ops: list[Op]) -> None:
    """Gather the branches bottom up, without recursion; raise DuplicateKey at the first conflict."""
    if len(ops) <= 1 and (not ops or ops[0].kind != TXN):
        return
    stack = [_Branch(ops)]
    finished: list[_Branch] = []  # The nested branches that their parents, below them on the stack, wait for.
    while stack:
        branch = stack.pop()
        if branch.waits:
            otherwise, then = finished.pop(), finished.pop()
            branch.absorb(then, otherwise)
        plan = next(branch.nested, None)
        branch.waits = plan is not None
        if plan is None:
            branch.finish()
            finished.append(branch)
        else:
            stack += [branch, _Branch(plan.failure), _Branch(plan.success)]
