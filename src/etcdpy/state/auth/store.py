"""Who may do what: authentication on or off, users, roles, permissions and tokens, as the log makes them.

    apply(kind, request, caller, index)   an entry about users and roles; only root may, mostly, while it is on
    check_read, check_write, check_admin  may this caller? raises EtcdError if not; while it is off everybody may

Rules
  * Every change of users, roles and permissions counts the auth revision up by one. A caller brings the revision at
    which their token was looked at: what was permitted then may not be now, so an older one is refused.
  * What a check answers depends on the log alone: the same entry, the same answer on every member. Tokens are memory of
    this member, and nothing that is written depends on them.
  * What a user may do is worked out once per auth revision, and kept.

We do as 3.5.33. A 3.5.1 differs, which matters where such a member is in the same cluster:
  * nested transactions, and puts inside of transactions as to lease and prev_kv, are checked like those outside
    (CVE-2026-33343, CVE-2026-44283);
  * root may use any lease, whatever the revision of the token;
  * an empty range is no permission (InvalidAuthMgmt);
  * what asks for a login, and what for root, is in api/v3/auth_gate.py (CVE-2026-33413).

Upstream: server/auth/store.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from etcdpy.base.errors import (
    AuthFailed,
    AuthNotEnabled,
    AuthOldRevision,
    EtcdError,
    InvalidAuthMgmt,
    PermissionDenied,
    RootRoleNotExist,
    RootUserNotExist,
    UserEmpty,
    UserNotFound,
)
from etcdpy.base.invariant import InvariantError
from etcdpy.pb import auth_pb2, rpc_pb2
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.caller import NOBODY, Caller
from etcdpy.state.auth.grants import ROOT, Grants
from etcdpy.state.auth.management import AuthManagement, NoPasswordUser
from etcdpy.state.auth.records import AuthRecords
from etcdpy.state.auth.tokens import NoTokens, Tokens
from etcdpy.storage.backend.bucket_store import BucketStore

# Users look at themselves and at their own roles; the check is then made with the answer.
_FOR_USERS_TOO: Final = frozenset({kinds.AUTHENTICATE, kinds.AUTH_USER_GET, kinds.AUTH_ROLE_GET})


class AuthStore:
    """Authentication and permissions of the cluster, as this member knows them."""

    def __init__(self, backend: BucketStore, tokens: Tokens | None = None) -> None:
        self._records = AuthRecords(backend)
        self._management = AuthManagement(self._records)
        self.tokens = NoTokens() if tokens is None else tokens
        self.is_enabled = False
        self.revision = 0  # Invariant: as in the backend.
        self._grants: dict[bytes, Grants] = {}  # of this revision, by user name
        self._own_caller = NOBODY
        self.on_switch: Callable[[], None] = _nobody_asks  # it was turned on or off
        self.recover()

    def recover(self) -> None:
        """Read what the backend holds: at the start, and when it was replaced."""
        was_enabled = self.is_enabled
        self.is_enabled = self._records.is_enabled()
        self.revision = self._records.revision()
        self._forget()
        if self.is_enabled != was_enabled:
            self.tokens.clear()
            self.on_switch()

    def _forget(self) -> None:
        self._grants.clear()
        self._own_caller = Caller(ROOT, self.revision)

    @property
    def own_caller(self) -> Caller | None:
        """In whose name this member proposes things of its own: root's."""
        return self._own_caller if self.is_enabled else None

    # -- checks

    def check_read(self, caller: Caller, key: bytes, range_end: bytes) -> None:
        """Raise UserEmpty, AuthOldRevision or PermissionDenied."""
        if self.is_enabled and not self._grants_of(caller).allow_read(key, range_end):
            raise PermissionDenied

    def check_write(self, caller: Caller, key: bytes, range_end: bytes) -> None:
        """Raise as `check_read`."""
        if self.is_enabled and not self._grants_of(caller).allow_write(key, range_end):
            raise PermissionDenied

    def _grants_of(self, caller: Caller) -> Grants:
        if caller.revision == 0:
            raise UserEmpty
        if caller.revision < self.revision:
            raise AuthOldRevision
        grants = self._grants.get(caller.username)
        if grants is None:
            grants = self._grants[caller.username] = self._work_out(caller.username)
        return grants

    def _work_out(self, username: bytes) -> Grants:
        user = self._records.find_user(username)
        if user is None:
            raise PermissionDenied
        roles = [self._records.find_role(name) for name in user.roles]
        permissions = [permission for role in roles if role is not None for permission in role.keyPermission]
        return Grants(is_root=ROOT in user.roles, permissions=permissions)

    def check_admin(self, caller: Caller) -> None:
        """Raise UserEmpty, UserNotFound or PermissionDenied unless it is root. The revision does not matter here."""
        if not self.is_enabled:
            return
        if not caller.username:
            raise UserEmpty
        user = self._records.find_user(caller.username)
        if user is None:
            raise UserNotFound
        if ROOT not in user.roles:
            raise PermissionDenied

    def is_admin(self, caller: Caller) -> bool:
        try:
            self.check_admin(caller)
        except EtcdError:
            return False
        return True

    # -- passwords

    def password_hash(self, username: bytes) -> bytes:
        """Return the bcrypt hash to compare with. Raise AuthNotEnabled, AuthFailed or NoPasswordUser."""
        if not self.is_enabled:
            raise AuthNotEnabled
        user = self._records.find_user(username)
        if user is None:
            raise AuthFailed
        if user.options.no_password:
            raise NoPasswordUser
        return user.password

    # -- apply

    def apply(self, kind: int, request: Any, caller: Caller = NOBODY, index: int = 0) -> bytes:
        """Carry out the entry at `index`; return the answer without its header. Raise EtcdError, everywhere the same.

        AUTHENTICATE may raise an error of this member's own: it changes nothing that is written.
        """
        if kind not in _FOR_USERS_TOO:
            self.check_admin(caller)
        if kind in _QUESTIONS:
            return self._answer(kind, request, caller)
        if kind == kinds.AUTHENTICATE:
            return self._authenticate(request, index)
        if kind == kinds.AUTH_ENABLE:
            self._enable()
        elif kind == kinds.AUTH_DISABLE:
            self._disable()
        elif self._change(kind, request):
            self._count_change()
        return b""

    def _enable(self) -> None:
        if self.is_enabled:
            return
        root = self._records.find_user(ROOT)
        if root is None:
            raise RootUserNotExist
        if ROOT not in root.roles:
            raise RootRoleNotExist
        self._records.put_enabled(enabled=True)
        self.is_enabled = True
        self._forget()
        self.on_switch()

    def _disable(self) -> None:
        if not self.is_enabled:
            return
        self._records.put_enabled(enabled=False)
        self.is_enabled = False
        self.tokens.clear()
        self._count_change()
        self.on_switch()

    def _change(self, kind: int, request: Any) -> bool:
        """Return whether anything is different now."""
        management = self._management
        if kind == kinds.AUTH_USER_ADD:
            management.add_user(request)
        elif kind == kinds.AUTH_USER_DELETE:
            self._refuse_while_enabled(request.name == ROOT)
            management.delete_user(request.name)
            self.tokens.forget_user(request.name)
        elif kind == kinds.AUTH_USER_CHANGE_PASSWORD:
            management.change_password(request)
            self.tokens.forget_user(request.name)
        elif kind == kinds.AUTH_USER_GRANT_ROLE:
            return management.grant_role(request.user, request.role)
        elif kind == kinds.AUTH_USER_REVOKE_ROLE:
            self._refuse_while_enabled(request.name == ROOT and request.role == ROOT)
            management.revoke_role(request.name, request.role)
        elif kind == kinds.AUTH_ROLE_ADD:
            management.add_role(request.name)
        elif kind == kinds.AUTH_ROLE_DELETE:
            self._refuse_while_enabled(request.role == ROOT)
            management.delete_role(request.role)
        elif kind == kinds.AUTH_ROLE_GRANT_PERMISSION:
            management.grant_permission(request)
        elif kind == kinds.AUTH_ROLE_REVOKE_PERMISSION:
            management.revoke_permission(request)
        else:
            raise InvariantError(f"a request of kind {kind} is none about authentication")
        return True

    def _refuse_while_enabled(self, would_lock_out: bool) -> None:
        if self.is_enabled and would_lock_out:
            raise InvalidAuthMgmt

    def _count_change(self) -> None:
        self.revision += 1
        self._records.put_revision(self.revision)
        self._forget()

    def _authenticate(self, request: Any, index: int) -> bytes:
        """The password was looked at by the member that proposes this."""
        if not self.is_enabled:
            raise AuthNotEnabled
        user = self._records.find_user(request.name)
        if user is None or user.options.no_password:
            raise AuthFailed
        token = self.tokens.assign(request.name, self.revision, request.simple_token, index)
        return rpc_pb2.AuthenticateResponse(token=token).SerializeToString()

    # -- questions

    def _answer(self, kind: int, request: Any, caller: Caller) -> bytes:
        if kind == kinds.AUTH_USER_GET:
            return self._describe_user(request.name, caller)
        if kind == kinds.AUTH_ROLE_GET:
            return self._describe_role(request.role, caller)
        if kind == kinds.AUTH_USER_LIST:
            users = rpc_pb2.AuthUserListResponse(users=[user.name for user in self._records.users()])
            return users.SerializeToString()
        if kind == kinds.AUTH_ROLE_LIST:
            roles = rpc_pb2.AuthRoleListResponse(roles=[role.name for role in self._records.roles()])
            return roles.SerializeToString()
        status = rpc_pb2.AuthStatusResponse(enabled=self.is_enabled, authRevision=self.revision)
        return status.SerializeToString()

    def _describe_user(self, name: bytes, caller: Caller) -> bytes:
        if name != caller.username:
            self.check_admin(caller)
        return rpc_pb2.AuthUserGetResponse(roles=self._records.get_user(name).roles).SerializeToString()

    def _describe_role(self, name: bytes, caller: Caller) -> bytes:
        if not self._has_role(caller.username, name):
            self.check_admin(caller)
        return rpc_pb2.AuthRoleGetResponse(perm=self._records.get_role(name).keyPermission).SerializeToString()

    def _has_role(self, username: bytes, role: bytes) -> bool:
        user: auth_pb2.User | None = self._records.find_user(username)
        return user is not None and role in user.roles


_QUESTIONS: Final = frozenset(
    {
        kinds.AUTH_STATUS,
        kinds.AUTH_USER_GET,
        kinds.AUTH_USER_LIST,
        kinds.AUTH_ROLE_GET,
        kinds.AUTH_ROLE_LIST,
    }
)


def _nobody_asks() -> None:
    """Before the API is wired."""
