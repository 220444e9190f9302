"""The space quota: what the database may grow to before the cluster stops taking writes (facts 1.4)."""

from __future__ import annotations

from typing import Any, Final

from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.cost import KEY_OVERHEAD_BYTES, LEASE_COST_BYTES, put_cost, txn_cost
from etcdpy.storage.backend import Backend

QUOTA_BYTES_DEFAULT: Final = 2 * 1024 * 1024 * 1024
QUOTA_BYTES_SUGGESTED_MAX: Final = 8 * 1024 * 1024 * 1024
# More than a request costs beside its operations.
OVERHEAD_BYTES_MAX: Final = 1024
# A transaction's put takes at least four bytes and costs at most 256 more than it takes.
COST_PER_BYTE_MAX: Final = KEY_OVERHEAD_BYTES // 4 + 1


class Quota:
    """`limit_bytes` is None when the operator switched the quota off by a negative number."""

    def __init__(self, backend: Backend, quota_backend_bytes: int) -> None:
        self._backend = backend
        self._headroom = 0  # how much may be proposed before it is worth looking at the database again
        self.limit_bytes: int | None = quota_backend_bytes or QUOTA_BYTES_DEFAULT
        if quota_backend_bytes < 0:
            self.limit_bytes = None

    def has_room_for(self, kind: int, request: Any, size: int) -> bool:
        """Return whether the database stays below the quota with this request's cost on top.

        `size` is that of the serialized request. Far from the quota an upper bound of the cost is enough: what is let
        through on it is subtracted, so the database is looked at again before it can matter.
        """
        if self.limit_bytes is None:
            return True
        bound = OVERHEAD_BYTES_MAX + (size if kind == kinds.PUT else size * COST_PER_BYTE_MAX)
        if self._headroom < bound:
            self._headroom = (self.limit_bytes - self._backend.size_bytes()) // 2
            if self._headroom < bound:
                self._headroom = 0
                return self._has_room_exactly(self.limit_bytes, kind, request)
        self._headroom -= bound
        return True

    def _has_room_exactly(self, limit_bytes: int, kind: int, request: Any) -> bool:
        if kind == kinds.PUT:
            cost = put_cost(request)
        elif kind == kinds.TXN:
            cost = txn_cost(request)
            if cost == 0:  # it only reads or deletes: since 3.5.7 that passes a full database (etcd pull request 14884)
                return True
        elif kind == kinds.LEASE_GRANT:
            cost = LEASE_COST_BYTES
        else:
            return True
        return self._backend.size_bytes() + cost < limit_bytes
