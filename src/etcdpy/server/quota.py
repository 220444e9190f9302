"""The space quota: what the database may grow to before the cluster stops taking writes (facts 1.4)."""

from __future__ import annotations

from typing import Any, Final

from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.cost import LEASE_COST_BYTES, put_cost, txn_cost
from etcdpy.storage.backend import Backend

QUOTA_BYTES_DEFAULT: Final = 2 * 1024 * 1024 * 1024
QUOTA_BYTES_SUGGESTED_MAX: Final = 8 * 1024 * 1024 * 1024


class Quota:
    """`limit_bytes` is None when the operator switched the quota off by a negative number."""

    def __init__(self, backend: Backend, quota_backend_bytes: int) -> None:
        self._backend = backend
        self.limit_bytes: int | None = quota_backend_bytes or QUOTA_BYTES_DEFAULT
        if quota_backend_bytes < 0:
            self.limit_bytes = None

    def has_room_for(self, kind: int, request: Any) -> bool:
        """Return whether the database stays below the quota with this request's cost on top."""
        if self.limit_bytes is None:
            return True
        if kind == kinds.PUT:
            cost = put_cost(request)
        elif kind == kinds.TXN:
            cost = txn_cost(request)
        elif kind == kinds.LEASE_GRANT:
            cost = LEASE_COST_BYTES
        else:
            return True
        return self._backend.size_bytes() + cost < self.limit_bytes
