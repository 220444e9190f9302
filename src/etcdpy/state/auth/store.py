"""Users and roles as the log makes them: buckets authUsers, authRoles and auth, byte for byte as a Go member's.

    user    name, bcrypt hash, roles sorted by name, options      role    name, permissions sorted by key
    auth    authRevision: counts every change of users, roles and permissions      authEnabled: 0 or 1

Users and roles may be managed while authentication is off, and that is as far as this goes: no permission is checked
here. Where it is on, other members refuse requests that we would carry out, and the stores would drift apart; so such a
cluster is not joined, and enabling it stops this member before anything goes wrong.

Names are bytes: Go keeps what is no UTF-8. Requests that only read, which 3.5 members put into the log too, change
nothing.

Upstream: server/auth/store.go.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left
from typing import Any, Final

from etcdpy.base.errors import (
    AuthNotEnabled,
    EtcdError,
    InvalidAuthMgmt,
    PermissionNotGiven,
    PermissionNotGranted,
    RoleAlreadyExist,
    RoleEmpty,
    RoleNotFound,
    RoleNotGranted,
    RootRoleNotExist,
    RootUserNotExist,
    UserAlreadyExist,
    UserEmpty,
    UserNotFound,
)
from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.pb import auth_pb2
from etcdpy.state.apply import proposal as kinds
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets, meta

REVISION_KEY: Final = b"authRevision"
ENABLED_KEY: Final = b"authEnabled"
ENABLED: Final = b"\x01"
DISABLED: Final = b"\x00"
ROOT: Final = b"root"


class NoPasswordUser(EtcdError):
    text = "auth: no password user"


class AuthStore:
    """Applies the log's requests about users and roles."""

    def __init__(self, backend: Backend) -> None:
        """Raise StorageError where authentication is on."""
        self._backend = backend
        if backend.get(buckets.AUTH, ENABLED_KEY) == ENABLED:
            raise StorageError(
                "authentication is enabled in this store: this version cannot check permissions and does not open it"
            )

    def apply(self, kind: int, request: Any) -> None:
        """Carry out a request. Raise EtcdError, the same on every member."""
        if kind in _READ_ONLY:
            return
        if kind == kinds.AUTH_USER_ADD:
            self._add_user(request)
        elif kind == kinds.AUTH_USER_DELETE:
            self._get_user(request.name)
            self._backend.delete(buckets.AUTH_USERS, request.name)
        elif kind == kinds.AUTH_USER_CHANGE_PASSWORD:
            self._change_password(request)
        elif kind == kinds.AUTH_USER_GRANT_ROLE:
            if not self._grant_role(request.user, request.role):
                return
        elif kind == kinds.AUTH_USER_REVOKE_ROLE:
            self._revoke_role(request.name, request.role)
        elif kind == kinds.AUTH_ROLE_ADD:
            self._add_role(request.name)
        elif kind == kinds.AUTH_ROLE_DELETE:
            self._delete_role(request.role)
        elif kind == kinds.AUTH_ROLE_GRANT_PERMISSION:
            self._grant_permission(request)
        elif kind == kinds.AUTH_ROLE_REVOKE_PERMISSION:
            self._revoke_permission(request)
        else:
            self._switch(kind)
            return
        self._count_change()

    def _switch(self, kind: int) -> None:
        if kind == kinds.AUTH_ENABLE:
            self._check_enable()
            raise InvariantError("authentication was enabled in this cluster: this version cannot check permissions")
        if kind == kinds.AUTHENTICATE:
            raise AuthNotEnabled
        if kind != kinds.AUTH_DISABLE:
            raise InvariantError(f"a request of kind {kind} is none about authentication")
        # It is off already, and then upstream does nothing either.

    def _check_enable(self) -> None:
        root = self._find_user(ROOT)
        if root is None:
            raise RootUserNotExist
        if ROOT not in root.roles:
            raise RootRoleNotExist

    # -- users

    def _add_user(self, request: Any) -> None:
        if not request.name:
            raise UserEmpty
        if self._find_user(request.name) is not None:
            raise UserAlreadyExist
        user = auth_pb2.User(name=request.name)
        user.options.no_password = request.options.no_password
        user.options.SetInParent()  # Go writes it though it is empty
        if not user.options.no_password:
            user.password = _read_password(request)
        self._put_user(user)

    def _change_password(self, request: Any) -> None:
        user = self._get_user(request.name)
        user.password = b"" if user.options.no_password else _read_password(request)
        self._put_user(user)

    def _grant_role(self, name: bytes, role: bytes) -> bool:
        """Return whether that was new."""
        user = self._get_user(name)
        if role != ROOT:
            self._get_role(role)
        if role in user.roles:
            return False
        roles = sorted([*user.roles, role])
        del user.roles[:]
        user.roles.extend(roles)
        self._put_user(user)
        return True

    def _revoke_role(self, name: bytes, role: bytes) -> None:
        user = self._get_user(name)
        if role not in user.roles:
            raise RoleNotGranted
        self._put_user(_without_role(user, role))

    # -- roles

    def _add_role(self, name: bytes) -> None:
        if not name:
            raise RoleEmpty
        if self._find_role(name) is not None:
            raise RoleAlreadyExist
        self._put_role(auth_pb2.Role(name=name))

    def _delete_role(self, name: bytes) -> None:
        self._get_role(name)
        self._backend.delete(buckets.AUTH_ROLES, name)
        for _, value in list(self._backend.scan(buckets.AUTH_USERS, b"", None)):
            user = auth_pb2.User.FromString(value)
            if name in user.roles:
                self._put_user(_without_role(user, name))

    def _grant_permission(self, request: Any) -> None:
        if not request.HasField("perm"):
            raise PermissionNotGiven
        wanted = request.perm
        if not _is_range(wanted.key, wanted.range_end):
            raise InvalidAuthMgmt
        role = self._get_role(request.name)
        place = bisect_left([known.key for known in role.keyPermission], wanted.key)
        # Upstream looks at the first one with this key only: others with another end of the range stay beside it.
        found = role.keyPermission[place] if place < len(role.keyPermission) else None
        if found is not None and (found.key, found.range_end) == (wanted.key, wanted.range_end):
            found.permType = wanted.permType
        else:
            granted = auth_pb2.Permission(permType=wanted.permType, key=wanted.key, range_end=wanted.range_end)
            permissions = sorted([*role.keyPermission, granted], key=lambda permission: permission.key)
            role = auth_pb2.Role(name=role.name, keyPermission=permissions)
        self._put_role(role)

    def _revoke_permission(self, request: Any) -> None:
        role = self._get_role(request.role)
        revoked = (request.key, request.range_end)
        left = [known for known in role.keyPermission if (known.key, known.range_end) != revoked]
        if len(left) == len(role.keyPermission):
            raise PermissionNotGranted
        self._put_role(auth_pb2.Role(name=role.name, keyPermission=left))

    # -- buckets

    def _find_user(self, name: bytes) -> auth_pb2.User | None:
        value = self._backend.get(buckets.AUTH_USERS, name) if name else None
        return None if value is None else auth_pb2.User.FromString(value)

    def _get_user(self, name: bytes) -> auth_pb2.User:
        user = self._find_user(name)
        if user is None:
            raise UserNotFound
        return user

    def _put_user(self, user: auth_pb2.User) -> None:
        self._backend.put(buckets.AUTH_USERS, user.name, user.SerializeToString())

    def _find_role(self, name: bytes) -> auth_pb2.Role | None:
        value = self._backend.get(buckets.AUTH_ROLES, name) if name else None
        return None if value is None else auth_pb2.Role.FromString(value)

    def _get_role(self, name: bytes) -> auth_pb2.Role:
        role = self._find_role(name)
        if role is None:
            raise RoleNotFound
        return role

    def _put_role(self, role: auth_pb2.Role) -> None:
        self._backend.put(buckets.AUTH_ROLES, role.name, role.SerializeToString())

    def _count_change(self) -> None:
        revision = meta.decode_u64(self._backend.get(buckets.AUTH, REVISION_KEY))
        self._backend.put(buckets.AUTH, REVISION_KEY, meta.encode_u64(revision + 1))


_READ_ONLY: Final = frozenset(
    {
        kinds.AUTH_STATUS,
        kinds.AUTH_USER_GET,
        kinds.AUTH_USER_LIST,
        kinds.AUTH_ROLE_GET,
        kinds.AUTH_ROLE_LIST,
    }
)


def _without_role(user: auth_pb2.User, role: bytes) -> auth_pb2.User:
    roles = [known for known in user.roles if known != role]
    del user.roles[:]
    user.roles.extend(roles)
    return user


def _read_password(request: Any) -> bytes:
    """Return the bcrypt hash that the proposing member made."""
    if request.password and not request.hashedPassword:
        # Before 3.5 each member made a hash of its own, with its own salt: no two stores ever agreed.
        raise InvariantError("a plain password in the log: its proposer is older than 3.5")
    try:
        return base64.b64decode(request.hashedPassword, validate=True)
    except binascii.Error:
        raise NoPasswordUser from None


def _is_range(key: bytes, range_end: bytes) -> bool:
    """Return whether a permission may be given for this range: 3.5 refuses empty ones."""
    return bool(key) and (not range_end or key < range_end or range_end == b"\x00")
