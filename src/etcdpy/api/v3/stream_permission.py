"""Permissions of what comes in streams: each watch, renewal and range is looked at when it is asked for.

A watch goes on when permissions change later, as in etcd; a range that is still being sent does not.

Upstream: serverWatchStream.isWatchPermitted, EtcdServer.checkLeaseRenew, EtcdServer.doSerialize.
"""

from __future__ import annotations

from typing import Final

from etcdpy.api.v3.auth_gate import check_valid
from etcdpy.api.v3.identity import Identity
from etcdpy.base.errors import CODE_NAMES, AuthOldRevision, EtcdError, UserEmpty
from etcdpy.state.auth.checks import Permissions
from etcdpy.transport.grpc.call import Call

REASON: Final = "rpc error: code = {code} desc = {text}"


class StreamPermission:
    """Implements `api.v3.watch.Permission` and `api.v3.lease_keepalive.RenewPermission`."""

    def __init__(self, identity: Identity, permissions: Permissions) -> None:
        self._identity = identity
        self._permissions = permissions

    def check_watch(self, call: Call, key: bytes, range_end: bytes) -> str | None:
        """Return None, or the reason to refuse. The range is the one the client sent (CVE-2026-73499)."""
        auth = self._permissions.auth
        if not auth.is_enabled:
            return None
        try:
            caller = self._identity.identify(call)
            check_valid(caller)
            auth.check_read(caller, key, range_end)
        except EtcdError as error:
            return REASON.format(code=CODE_NAMES[error.code], text=error.text)
        return None

    def check_renew(self, call: Call, lease_id: int) -> None:
        """Raise EtcdError unless the caller may write all keys of the lease."""
        if not self._permissions.auth.is_enabled:
            return
        caller = self._identity.identify(call)
        check_valid(caller)
        if not caller.revision:
            raise UserEmpty
        self._permissions.check_lease_use(lease_id, caller)

    # -- ranges in chunks

    def is_pending(self, call: Call) -> bool:
        """Return whether the call's token may have been given by another member a moment ago."""
        return self._permissions.auth.is_enabled and self._identity.pending_index(call) > 0

    def check_range(self, call: Call, key: bytes, range_end: bytes) -> int:
        """Raise EtcdError unless the caller may read; return the revision of what he may, 0 while nobody is asked."""
        auth = self._permissions.auth
        if not auth.is_enabled:
            return 0
        caller = self._identity.identify(call)
        check_valid(caller)
        auth.check_read(caller, key, range_end)
        return caller.revision

    def check_unchanged(self, revision: int) -> None:
        """Raise AuthOldRevision when permissions may be others than at `revision`."""
        if revision and revision != self._permissions.auth.revision:
            raise AuthOldRevision
