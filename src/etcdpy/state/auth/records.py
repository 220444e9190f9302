"""Users and roles in their buckets, byte for byte as a Go member's.

    user    name, bcrypt hash, roles sorted by name, options      role    name, permissions sorted by key
    auth    authRevision: counts every change of users, roles and permissions      authEnabled: 0 or 1

Names are bytes: Go keeps what is no UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from etcdpy.base.errors import RoleNotFound, UserNotFound
from etcdpy.pb import auth_pb2
from etcdpy.storage.backend.bucket_store import BucketStore
from etcdpy.storage.schema import buckets, meta

REVISION_KEY: Final = b"authRevision"
ENABLED_KEY: Final = b"authEnabled"
ENABLED: Final = b"\x01"
DISABLED: Final = b"\x00"


class AuthRecords:
    """Reads and writes them."""

    def __init__(self, backend: BucketStore) -> None:
        self._backend = backend

    # -- users

    def find_user(self, name: bytes) -> auth_pb2.User | None:
        value = self._backend.get(buckets.AUTH_USERS, name) if name else None
        return None if value is None else auth_pb2.User.FromString(value)

    def get_user(self, name: bytes) -> auth_pb2.User:
        """Raise UserNotFound."""
        user = self.find_user(name)
        if user is None:
            raise UserNotFound
        return user

    def put_user(self, user: auth_pb2.User) -> None:
        self._backend.put(buckets.AUTH_USERS, user.name, user.SerializeToString())

    def delete_user(self, name: bytes) -> None:
        self._backend.delete(buckets.AUTH_USERS, name)

    def users(self) -> Iterator[auth_pb2.User]:
        for _, value in list(self._backend.scan(buckets.AUTH_USERS, b"", None)):
            yield auth_pb2.User.FromString(value)

    # -- roles

    def find_role(self, name: bytes) -> auth_pb2.Role | None:
        value = self._backend.get(buckets.AUTH_ROLES, name) if name else None
        return None if value is None else auth_pb2.Role.FromString(value)

    def get_role(self, name: bytes) -> auth_pb2.Role:
        """Raise RoleNotFound."""
        role = self.find_role(name)
        if role is None:
            raise RoleNotFound
        return role

    def put_role(self, role: auth_pb2.Role) -> None:
        self._backend.put(buckets.AUTH_ROLES, role.name, role.SerializeToString())

    def delete_role(self, name: bytes) -> None:
        self._backend.delete(buckets.AUTH_ROLES, name)

    def roles(self) -> Iterator[auth_pb2.Role]:
        """All but those at and after b"\\xff": there upstream's scan ends, and so does its list."""
        for name, value in list(self._backend.scan(buckets.AUTH_ROLES, b"", None)):
            if name < b"\xff":
                yield auth_pb2.Role.FromString(value)

    # -- the two settings

    def is_enabled(self) -> bool:
        return self._backend.get(buckets.AUTH, ENABLED_KEY) == ENABLED

    def put_enabled(self, *, enabled: bool) -> None:
        self._backend.put(buckets.AUTH, ENABLED_KEY, ENABLED if enabled else DISABLED)

    def revision(self) -> int:
        return meta.decode_u64(self._backend.get(buckets.AUTH, REVISION_KEY))

    def put_revision(self, revision: int) -> None:
        self._backend.put(buckets.AUTH, REVISION_KEY, meta.encode_u64(revision))
