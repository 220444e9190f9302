"""How long entries take to apply, by kind and outcome: etcd_server_apply_duration_seconds and _slow_apply_total.

The loop adds, /metrics reads the histograms where they stand. What was slow or failed is also told, without what is
secret. Labels are etcd's: `version` is v2 or v3, `op` the request's name as its apply code spells it.
"""

from __future__ import annotations

import logging
from typing import Final, Protocol

from etcdpy.base.errors import Compacted, EtcdError
from etcdpy.base.log import Duration, log_warn
from etcdpy.base.varint import encode_varint
from etcdpy.pb.raft_values import Entry
from etcdpy.server.metrics_histogram import Histogram
from etcdpy.server.metrics_source import APPLY_BUCKETS, Histograms
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.applier import Result
from etcdpy.state.apply.loggable import describe_entry
from etcdpy.state.mvcc.answer import Answer

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
        self._slow_seconds = slow_seconds  # --warning-apply-duration
        self._log = log
        self.slow_total = 0

    def note(self, is_good: bool, seconds: float) -> bool:
        """Count the entry that was applied last; return whether the log should hear of it (server.loop.Stopwatch)."""
        self.add(self._applied.applied_kind, self._applied.applied_method, is_good, seconds)
        return seconds > self._slow_seconds or not is_good

    def add(self, kind: int, method: bytes, is_good: bool, seconds: float) -> None:
        """Count one entry. `kind` 0 held no request; `method` matters for v2 requests only."""
        if not kind:
            return
        key = (kind, method if kind == kinds.V2 else b"", is_good)
        histogram = self._by_kind.get(key)
        if histogram is None:
            histogram = self._by_kind[key] = self._add_histogram(*key)
        histogram.observe(seconds)

    def tell(self, entry: Entry, result: Result | None, seconds: float) -> None:
        """Log an entry that was slow, or failed, or both. Only now is its text made."""
        if not self._applied.applied_kind:
            return
        request = describe_entry(entry.data)
        if seconds > self._slow_seconds:
            self.tell_slow(request=request, result=result, seconds=seconds)
        if isinstance(result, EtcdError) and not isinstance(result, Compacted):
            took = Duration(seconds)
            log_warn(
                self._log, "failed to apply request", took=took, request=request, response="", error=_text_of(result)
            )

    def tell_slow(
        self, *, request: str, result: Result | None, seconds: float, prefix: str = "", response: str | None = None
    ) -> None:
        """Count and log what took too long; `response` where there is more to say of the answer than its size."""
        self.slow_total += 1
        fields: dict[str, object] = {}
        if isinstance(result, EtcdError):
            fields["error"] = _text_of(result)
        elif result is not None and response is None:
            response = f"size:{answer_size(result)}"
        log_warn(
            self._log,
            "apply request took too long",
            took=Duration(seconds),
            expected_duration=Duration(self._slow_seconds),
            prefix=prefix,
            request=request,
            response=response or "",
            **fields,
        )

    def _add_histogram(self, kind: int, method: bytes, is_good: bool) -> Histogram:
        version, operation = ("v2", method.decode()) if kind == kinds.V2 else ("v3", OPERATIONS[kind])
        labels = (version, operation, "true" if is_good else "false")
        return self._histograms.setdefault(labels, Histogram(APPLY_BUCKETS))


def answer_size(answer: Answer) -> int:
    """Return the size of an answer as it leaves apply: its header knows the revision and nothing else."""
    return answer.size + 3 + len(encode_varint(answer.revision))


def _text_of(error: EtcdError) -> str:
    """Return an error as apply's own parts know it: the API has not put its name before it yet."""
    return error.text.removeprefix("etcdserver: ") if error.text.startswith("etcdserver: mvcc: ") else error.text
