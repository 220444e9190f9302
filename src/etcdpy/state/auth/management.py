"""Changes of users and roles, as the log orders them.

Each public method makes one change and raises EtcdError where every member refuses it; nothing is changed then.

Upstream: server/auth/store.go.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left
from typing import Any

from etcdpy.base.errors import (
    EtcdError,
    InvalidAuthMgmt,
    PermissionNotGiven,
    PermissionNotGranted,
    RoleAlreadyExist,
    RoleEmpty,
    RoleNotGranted,
    UserAlreadyExist,
    UserEmpty,
)
from etcdpy.base.invariant import InvariantError
from etcdpy.pb import auth_pb2
from etcdpy.state.auth.grants import ROOT
from etcdpy.state.auth.records import AuthRecords


class NoPasswordUser(EtcdError):
    """Travels to the client with etcd's raw text."""

    text = "auth: authentication failed, password was given for no password user"


class AuthManagement:
    """Makes the changes."""

    def __init__(self, records: AuthRecords) -> None:
        self._records = records

    # -- users

    def add_user(self, request: Any) -> None:
        if not request.name:
            raise UserEmpty
        if self._records.find_user(request.name) is not None:
            raise UserAlreadyExist
        user = auth_pb2.User(name=request.name)
        user.options.no_password = request.options.no_password
        user.options.SetInParent()  # Go writes it though it is empty
        if not user.options.no_password:
            user.password = _read_password(request)
        self._records.put_user(user)

    def delete_user(self, name: bytes) -> None:
        self._records.get_user(name)
        self._records.delete_user(name)

    def change_password(self, request: Any) -> None:
        user = self._records.get_user(request.name)
        user.password = b"" if user.options.no_password else _read_password(request)
        self._records.put_user(user)

    def grant_role(self, name: bytes, role: bytes) -> bool:
        """Return whether that was new."""
        user = self._records.get_user(name)
        if role != ROOT:
            self._records.get_role(role)
        if role in user.roles:
            return False
        roles = sorted([*user.roles, role])
        del user.roles[:]
        user.roles.extend(roles)
        self._records.put_user(user)
        return True

    def revoke_role(self, name: bytes, role: bytes) -> None:
        user = self._records.get_user(name)
        if role not in user.roles:
            raise RoleNotGranted
        self._records.put_user(_without_role(user, role))

    # -- roles

    def add_role(self, name: bytes) -> None:
        if not name:
            raise RoleEmpty
        if self._records.find_role(name) is not None:
            raise RoleAlreadyExist
        self._records.put_role(auth_pb2.Role(name=name))

    def delete_role(self, name: bytes) -> None:
        self._records.get_role(name)
        self._records.delete_role(name)
        for user in self._records.users():
            if name in user.roles:
                self._records.put_user(_without_role(user, name))

    def grant_permission(self, request: Any) -> None:
        if not request.HasField("perm"):
            raise PermissionNotGiven
        wanted = request.perm
        if not _is_range(wanted.key, wanted.range_end):
            raise InvalidAuthMgmt
        role = self._records.get_role(request.name)
        place = bisect_left([known.key for known in role.keyPermission], wanted.key)
        # Upstream looks at the first one with this key only: others with another end of the range stay beside it.
        found = role.keyPermission[place] if place < len(role.keyPermission) else None
        if found is not None and (found.key, found.range_end) == (wanted.key, wanted.range_end):
            found.permType = wanted.permType
        else:
            granted = auth_pb2.Permission(permType=wanted.permType, key=wanted.key, range_end=wanted.range_end)
            permissions = sorted([*role.keyPermission, granted], key=lambda permission: permission.key)
            role = auth_pb2.Role(name=role.name, keyPermission=permissions)
        self._records.put_role(role)

    def revoke_permission(self, request: Any) -> None:
        role = self._records.get_role(request.role)
        revoked = (request.key, request.range_end)
        left = [known for known in role.keyPermission if (known.key, known.range_end) != revoked]
        if len(left) == len(role.keyPermission):
            raise PermissionNotGranted
        self._records.put_role(auth_pb2.Role(name=role.name, keyPermission=left))


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
