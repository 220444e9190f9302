"""Which keys a request asks for, and whether its caller may have them.

    Put            write key; with prev_kv read it; with a lease, what using that lease asks for
    DeleteRange    write range; with prev_kv read it
    Range          read range
    Txn            all of it, in both branches and in nested transactions, also what will not be done; compares read
    LeaseRevoke    using the lease

Using a lease means that others may lose their keys with it: whoever is not root must be allowed to write all of them.

Ranges are looked at as the client sent them. Source: facts 1.10. Upstream: etcdserver/apply_auth.go.
"""

from __future__ import annotations

from typing import Any, Final

from etcdpy.pb import rpc_pb2
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.caller import Caller
from etcdpy.state.auth.store import AuthStore
from etcdpy.state.lease.lessor import Lessor
from etcdpy.state.mvcc import txn_plan
from etcdpy.state.mvcc.txn_plan import TxnPlan, read_nested


class Permissions:
    """Checks requests. What is not about keys has rules elsewhere, or none."""

    def __init__(self, auth: AuthStore, lessor: Lessor) -> None:
        self.auth = auth
        self._lessor = lessor

    def check_request(self, kind: int, request: Any, caller: Caller) -> None:
        """Raise UserEmpty, AuthOldRevision or PermissionDenied."""
        if kind == kinds.PUT:
            self._check_put(request, caller)
        elif kind == kinds.RANGE:
            self.auth.check_read(caller, request.key, request.range_end)
        elif kind == kinds.DELETE_RANGE:
            self._check_delete(request, caller)
        elif kind == kinds.TXN:
            self._check_txn(request, caller)
        elif kind == kinds.LEASE_REVOKE:
            self.check_lease_use(request.ID, caller)

    def _check_put(self, request: rpc_pb2.PutRequest, caller: Caller) -> None:
        key = request.key
        self.auth.check_write(caller, key, b"")
        if request.lease:
            self.check_lease_use(request.lease, caller)
        if request.prev_kv:
            self.auth.check_read(caller, key, b"")

    def _check_delete(self, request: rpc_pb2.DeleteRangeRequest, caller: Caller) -> None:
        self.auth.check_write(caller, request.key, request.range_end)
        if request.prev_kv:
            self.auth.check_read(caller, request.key, request.range_end)

    def _check_txn(self, plan: TxnPlan, caller: Caller) -> None:
        """No recursion, for depth is the client's choice; levels that nobody has read yet are read."""
        pending = [plan]
        while pending:
            level = pending.pop()
            for compare in level.compares:
                self.auth.check_read(caller, compare.key, compare.range_end)
            for op in (*level.success, *level.failure):
                if op.kind == txn_plan.TXN:
                    if not isinstance(op.request, TxnPlan):
                        op.request = read_nested(op.request)
                    pending.append(op.request)
                elif op.kind != txn_plan.NOTHING:
                    self.check_request(_KINDS[op.kind], op.request, caller)

    # -- leases

    def check_lease_use(self, lease_id: int, caller: Caller) -> None:
        """May the caller decide over the keys of a lease? A lease that is not there has none."""
        auth = self.auth
        if auth.is_enabled and not auth.is_admin(caller):
            for key in self._lessor.keys_of(lease_id):
                auth.check_write(caller, key, b"")

    def check_lease_view(self, lease_id: int, caller: Caller) -> None:
        """May the caller know which keys hang on a lease? (CVE-2023-32082)"""
        auth = self.auth
        if auth.is_enabled and not auth.is_admin(caller):
            for key in self._lessor.keys_of(lease_id):
                auth.check_read(caller, key, b"")

    def check_lease_list(self, caller: Caller) -> None:
        """May the caller know which leases there are? Whoever may read all of their keys."""
        auth = self.auth
        if auth.is_enabled and not auth.is_admin(caller):
            for _, key in self._lessor.attachments():
                auth.check_read(caller, key, b"")


_KINDS: Final = {
    txn_plan.PUT: kinds.PUT,
    txn_plan.RANGE: kinds.RANGE,
    txn_plan.DELETE_RANGE: kinds.DELETE_RANGE,
}
