"""How long entries take to apply, by kind and outcome: etcd_server_apply_duration_seconds and _slow_apply_total.

The loop adds, /metrics reads the histograms where they stand. Labels are etcd's: `version` is v2 or v3, `op` the
request's name as its apply code spells it.
"""

from __future__ import annotations

import logging
from typing import Final, Protocol

from etcdpy.base.log import Duration, log_warn
from etcdpy.server.metrics_histogram import Histogram
from etcdpy.server.metrics_source import APPLY_BUCKETS, Histograms
from etcdpy.state.apply import proposal as kinds

OPERATIONS: Final = {
    kinds.RANGE: "Range",
    kinds.PUT: "Put",
    kinds.DELETE_RANGE: "DeleteRange",
    kinds.TXN: "Txn",
    kinds.COMPACTION: "Compaction",
    kinds.LEASE_GRANT: "LeaseGrant",
    kinds.LEASE_REVOKE: "LeaseRevoke",
    kinds.ALARM: "Alarm",
    kinds.LEASE_CHECKPOINT: "LeaseCheckpoint",
    kinds.AUTH_ENABLE: "AuthEnable",
    kinds.AUTH_DISABLE: "AuthDisable",
    kinds.AUTHENTICATE: "Authenticate",
    kinds.AUTH_STATUS: "AuthStatus",
    kinds.AUTH_USER_ADD: "AuthUserAdd",
    kinds.AUTH_USER_DELETE: "AuthUserDelete",
    kinds.AUTH_USER_GET: "AuthUserGet",
    kinds.AUTH_USER_CHANGE_PASSWORD: "AuthUserChangePassword",
    kinds.AUTH_USER_GRANT_ROLE: "AuthUserGrantRole",
    kinds.AUTH_USER_REVOKE_ROLE: "AuthUserRevokeRole",
    kinds.AUTH_USER_LIST: "AuthUserList",
    kinds.AUTH_ROLE_LIST: "AuthRoleList",
    kinds.AUTH_ROLE_ADD: "AuthRoleAdd",
    kinds.AUTH_ROLE_DELETE: "AuthRoleDelete",
    kinds.AUTH_ROLE_GET: "AuthRoleGet",
    kinds.AUTH_ROLE_GRANT_PERMISSION: "AuthRoleGrantPermission",
    kinds.AUTH_ROLE_REVOKE_PERMISSION: "AuthRoleRevokePermission",
    kinds.CLUSTER_VERSION_SET: "ClusterVersionSet",
    kinds.CLUSTER_MEMBER_ATTR_SET: "ClusterMemberAttrSet",
    kinds.DOWNGRADE_INFO_SET: "DowngradeInfoSet",
}


class Applied(Protocol):
    """Who applies, and knows what it was."""

    applied_kind: int
    applied_method: bytes


class ApplyTimes:
    """Durations by (kind, v2 method, whether it went well)."""

    def __init__(self, histograms: Histograms, applied: Applied, *, slow_seconds: float, log: logging.Logger) -> None:
        self._applied = applied
        self._histograms = histograms  # the one that /metrics shows
        self._by_kind: dict[tuple[int, bytes, bool], Histogram] = {}
        self._slow_seconds = slow_seconds
        self._log = log
        self.slow_total = 0

    def note(self, is_good: bool, seconds: float) -> None:
        """Count the entry that was applied last (server.loop.Stopwatch)."""
        self.add(self._applied.applied_kind, self._applied.applied_method, is_good, seconds)

    def add(self, kind: int, method: bytes, is_good: bool, seconds: float) -> None:
        """Count one entry. `kind` 0 held no request; `method` matters for v2 requests only."""
        if not kind:
            return
        key = (kind, method if kind == kinds.V2 else b"", is_good)
        histogram = self._by_kind.get(key)
        if histogram is None:
            histogram = self._by_kind[key] = self._add_histogram(*key)
        histogram.observe(seconds)
        if seconds > self._slow_seconds:
            self.slow_total += 1
            log_warn(
                self._log,
                "apply request took too long",
                took=Duration(seconds),
                expected_duration=Duration(self._slow_seconds),
                request=OPERATIONS.get(kind, "v2"),
            )

    def _add_histogram(self, kind: int, method: bytes, is_good: bool) -> Histogram:
        version, operation = ("v2", method.decode()) if kind == kinds.V2 else ("v3", OPERATIONS[kind])
        labels = (version, operation, "true" if is_good else "false")
        return self._histograms.setdefault(labels, Histogram(APPLY_BUCKETS))
