"""What a request costs in bytes of the database, by the rule of thumb that the space quota uses (facts 1.4).

Upstream: server/etcdserver/quota.go; nested operations count, as since 3.6.14.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from etcdpy.pb import rpc_pb2

LEASE_COST_BYTES: Final = 64
KEY_OVERHEAD_BYTES: Final = 256


def put_cost(request: rpc_pb2.PutRequest) -> int:
    return KEY_OVERHEAD_BYTES + len(request.key) + len(request.value)


def txn_cost(request: rpc_pb2.TxnRequest) -> int:
    """Return the cost of the dearer branch. Walks nested transactions level by level, without recursion."""
    best = 0
    for branch in (request.success, request.failure):
        total = 0
        pending: list[Iterable[rpc_pb2.RequestOp]] = [branch]
        while pending:
            for op in pending.pop():
                if op.HasField("request_put"):
                    total += put_cost(op.request_put)
                elif op.HasField("request_txn"):
                    nested = rpc_pb2.TxnRequest.FromString(op.request_txn)
                    pending += [nested.success, nested.failure]
        best = max(best, total)
    return best


def txn_puts_anything(request: rpc_pb2.TxnRequest) -> bool:
    return txn_cost(request) > 0
