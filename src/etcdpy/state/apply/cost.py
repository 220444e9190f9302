"""What a request costs in bytes of the database, by the rule of thumb that the space quota uses (facts 1.4).

Upstream: server/etcdserver/quota.go; nested operations count, as since 3.6.14.
"""

from __future__ import annotations

from typing import Final

from etcdpy.pb import rpc_pb2
from etcdpy.state.mvcc.txn_plan import PUT, TXN, Op, TxnPlan, read_nested

LEASE_COST_BYTES: Final = 64
KEY_OVERHEAD_BYTES: Final = 256


def put_cost(request: rpc_pb2.PutRequest) -> int:
    return KEY_OVERHEAD_BYTES + len(request.key) + len(request.value)


def txn_cost(plan: TxnPlan) -> int:
    """Return the cost of the dearer branch, nested operations counted with the branch that holds them."""
    return max(_branch_cost(plan.success), _branch_cost(plan.failure))


def _branch_cost(branch: list[Op]) -> int:
    total = 0
    pending = [branch]
    while pending:
        for op in pending.pop():
            if op.kind == PUT:
                total += put_cost(op.request)
            elif op.kind == TXN:
                if not isinstance(op.request, TxnPlan):
                    op.request = read_nested(op.request)
                pending += [op.request.success, op.request.failure]
    return total
