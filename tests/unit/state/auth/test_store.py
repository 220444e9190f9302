"""Users and roles in the buckets. A real member writes the same: tests/compat/test_log_of_a_real_etcd.py."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.auth import AuthStore
from etcdpy.state.auth.store import NoPasswordUser
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets
from tests.unit.state.apply.machine import open_machine

STRANGE = b"\xff\xfe"  # Go takes it for a name
HASH = base64.b64encode(b"$2a$hash")


class World:
    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.store = AuthStore(backend)

    def apply(self, kind: int, request: Any) -> None:
        self.store.apply(kind, request)

    def refusal(self, kind: int, request: Any) -> type[EtcdError]:
        before = self.everything()
        with pytest.raises(EtcdError) as caught:
            self.store.apply(kind, request)
        assert self.everything() == before
        return type(caught.value)

    def everything(self) -> list[list[tuple[bytes, bytes]]]:
        kept = (buckets.AUTH, buckets.AUTH_USERS, buckets.AUTH_ROLES)
        return [list(self.backend.scan(bucket, b"", None)) for bucket in kept]

    def user(self, name: bytes = b"u") -> auth_pb2.User:
        value = self.backend.get(buckets.AUTH_USERS, name)
        assert value is not None
        return auth_pb2.User.FromString(value)

    def permissions(self) -> list[tuple[bytes, bytes, int]]:
        value = self.backend.get(buckets.AUTH_ROLES, b"r")
        assert value is not None
        role = auth_pb2.Role.FromString(value)
        return [(known.key, known.range_end, known.permType) for known in role.keyPermission]

    @property
    def revision(self) -> int:
        return int.from_bytes(self.backend.get(buckets.AUTH, b"authRevision") or b"", "big")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    backend = Backend.open(tmp_path)
    yield World(backend)
    backend.close()


def add_user(world: World, name: bytes = b"u", **fields: Any) -> None:
    world.apply(kinds.AUTH_USER_ADD, pb.AuthUserAddRequest(name=name, hashedPassword=HASH, **fields))


def add_role(world: World, name: bytes = b"r") -> None:
    world.apply(kinds.AUTH_ROLE_ADD, pb.AuthRoleAddRequest(name=name))


def grant(key: bytes, range_end: bytes = b"", kind: int = 0) -> pb.AuthRoleGrantPermissionRequest:
    permission = auth_pb2.Permission(permType=kind, key=key, range_end=range_end)  # type: ignore[arg-type]
    return pb.AuthRoleGrantPermissionRequest(name=b"r", perm=permission)


def test_a_user_is_written_as_go_does(world: World) -> None:
    """Options stand there even when they say nothing."""
    add_user(world, STRANGE)
    add_user(world, b"n", options=auth_pb2.UserAddOptions(no_password=True))

    assert world.backend.get(buckets.AUTH_USERS, STRANGE) == b"\n\x02\xff\xfe\x12\x08$2a$hash\x22\x00"
    assert world.backend.get(buckets.AUTH_USERS, b"n") == b"\n\x01n\x22\x02\x08\x01"
    assert world.revision == 2


def test_a_password_is_changed_and_the_rest_stays(world: World) -> None:
    add_role(world)
    add_user(world)
    world.apply(kinds.AUTH_USER_GRANT_ROLE, pb.AuthUserGrantRoleRequest(user=b"u", role=b"r"))
    changed = pb.AuthUserChangePasswordRequest(name=b"u", hashedPassword=base64.b64encode(b"new"))
    world.apply(kinds.AUTH_USER_CHANGE_PASSWORD, changed)

    assert (world.user().password, list(world.user().roles)) == (b"new", [b"r"])
    assert world.revision == 4


def test_roles_are_sorted_and_granted_once(world: World) -> None:
    add_user(world)
    for name in (b"z", STRANGE, b"a"):
        add_role(world, name)
        world.apply(kinds.AUTH_USER_GRANT_ROLE, pb.AuthUserGrantRoleRequest(user=b"u", role=name))
    world.apply(kinds.AUTH_USER_GRANT_ROLE, pb.AuthUserGrantRoleRequest(user=b"u", role=b"root"))  # needs no role
    revision = world.revision
    world.apply(kinds.AUTH_USER_GRANT_ROLE, pb.AuthUserGrantRoleRequest(user=b"u", role=b"a"))

    assert list(world.user().roles) == [b"a", b"root", b"z", STRANGE]
    assert world.revision == revision == 8, "nothing new, nothing counted"


def test_a_role_that_goes_is_taken_from_everybody(world: World) -> None:
    add_role(world)
    for name in (b"u", b"v"):
        add_user(world, name)
    world.apply(kinds.AUTH_USER_GRANT_ROLE, pb.AuthUserGrantRoleRequest(user=b"u", role=b"r"))
    world.apply(kinds.AUTH_ROLE_DELETE, pb.AuthRoleDeleteRequest(role=b"r"))
    assert list(world.user().roles) == [] and world.backend.get(buckets.AUTH_ROLES, b"r") is None

    world.apply(kinds.AUTH_USER_DELETE, pb.AuthUserDeleteRequest(name=b"u"))
    assert world.backend.get(buckets.AUTH_USERS, b"u") is None
    assert world.revision == 6


def test_a_role_is_revoked(world: World) -> None:
    add_user(world)
    world.apply(kinds.AUTH_USER_GRANT_ROLE, pb.AuthUserGrantRoleRequest(user=b"u", role=b"root"))
    revoke = pb.AuthUserRevokeRoleRequest(name=b"u", role=b"root")
    world.apply(kinds.AUTH_USER_REVOKE_ROLE, revoke)

    assert list(world.user().roles) == []
    assert world.refusal(kinds.AUTH_USER_REVOKE_ROLE, revoke) is RoleNotGranted


def test_permissions_are_sorted_by_key_changed_and_revoked(world: World) -> None:
    add_role(world)
    for request in (grant(b"m", b"n", 2), grant(b"a"), grant(b"z", b"\0", 1), grant(b"m", b"x"), grant(b"a", kind=2)):
        world.apply(kinds.AUTH_ROLE_GRANT_PERMISSION, request)
    assert world.permissions() == [(b"a", b"", 2), (b"m", b"n", 2), (b"m", b"x", 0), (b"z", b"\0", 1)]

    revoke = pb.AuthRoleRevokePermissionRequest(role=b"r", key=b"m", range_end=b"n")
    world.apply(kinds.AUTH_ROLE_REVOKE_PERMISSION, revoke)
    assert world.permissions() == [(b"a", b"", 2), (b"m", b"x", 0), (b"z", b"\0", 1)]
    assert world.refusal(kinds.AUTH_ROLE_REVOKE_PERMISSION, revoke) is PermissionNotGranted
    assert world.revision == 7


@pytest.mark.parametrize(
    ("kind", "request_", "refusal"),
    [
        (kinds.AUTH_USER_ADD, pb.AuthUserAddRequest(), UserEmpty),
        (kinds.AUTH_USER_ADD, pb.AuthUserAddRequest(name=b"u", hashedPassword=HASH), UserAlreadyExist),
        (kinds.AUTH_USER_ADD, pb.AuthUserAddRequest(name=b"v", hashedPassword=b"!"), NoPasswordUser),
        (kinds.AUTH_USER_DELETE, pb.AuthUserDeleteRequest(name=b"v"), UserNotFound),
        (kinds.AUTH_USER_CHANGE_PASSWORD, pb.AuthUserChangePasswordRequest(name=b"v"), UserNotFound),
        (kinds.AUTH_USER_GRANT_ROLE, pb.AuthUserGrantRoleRequest(user=b"v", role=b"r"), UserNotFound),
        (kinds.AUTH_USER_GRANT_ROLE, pb.AuthUserGrantRoleRequest(user=b"u", role=b"s"), RoleNotFound),
        (kinds.AUTH_USER_REVOKE_ROLE, pb.AuthUserRevokeRoleRequest(name=b"v", role=b"r"), UserNotFound),
        (kinds.AUTH_ROLE_ADD, pb.AuthRoleAddRequest(), RoleEmpty),
        (kinds.AUTH_ROLE_ADD, pb.AuthRoleAddRequest(name=b"r"), RoleAlreadyExist),
        (kinds.AUTH_ROLE_DELETE, pb.AuthRoleDeleteRequest(role=b"s"), RoleNotFound),
        (kinds.AUTH_ROLE_GRANT_PERMISSION, pb.AuthRoleGrantPermissionRequest(name=b"r"), PermissionNotGiven),
        (kinds.AUTH_ROLE_GRANT_PERMISSION, grant(b""), InvalidAuthMgmt),
        (kinds.AUTH_ROLE_GRANT_PERMISSION, grant(b"b", b"a"), InvalidAuthMgmt),
        (kinds.AUTH_ROLE_REVOKE_PERMISSION, pb.AuthRoleRevokePermissionRequest(role=b"s"), RoleNotFound),
        (kinds.AUTHENTICATE, pb.AuthenticateRequest(), AuthNotEnabled),
        (kinds.AUTH_ENABLE, pb.AuthEnableRequest(), RootUserNotExist),
    ],
)
def test_what_all_members_refuse(world: World, kind: int, request_: Any, refusal: type[EtcdError]) -> None:
    add_user(world)
    add_role(world)

    assert world.refusal(kind, request_) is refusal


@pytest.mark.parametrize(
    "kind",
    [
        kinds.AUTH_DISABLE,
        kinds.AUTH_STATUS,
        kinds.AUTH_USER_GET,
        kinds.AUTH_USER_LIST,
        kinds.AUTH_ROLE_GET,
        kinds.AUTH_ROLE_LIST,
    ],
)
def test_what_changes_nothing(world: World, kind: int) -> None:
    before = world.everything()
    world.apply(kind, None)

    assert world.everything() == before


def test_enabling_stops_the_member_only_where_it_would_work(world: World) -> None:
    """Requests would then be refused elsewhere and carried out here."""
    add_user(world, b"root")
    assert world.refusal(kinds.AUTH_ENABLE, pb.AuthEnableRequest()) is RootRoleNotExist
    world.apply(kinds.AUTH_USER_GRANT_ROLE, pb.AuthUserGrantRoleRequest(user=b"root", role=b"root"))

    with pytest.raises(InvariantError, match="cannot check permissions"):
        world.apply(kinds.AUTH_ENABLE, pb.AuthEnableRequest())


def test_a_store_with_authentication_is_not_opened(world: World) -> None:
    world.backend.put(buckets.AUTH, b"authEnabled", b"\x01")
    with pytest.raises(StorageError, match="authentication is enabled"):
        AuthStore(world.backend)
    world.backend.put(buckets.AUTH, b"authEnabled", b"\x00")
    AuthStore(world.backend)


def test_a_plain_password_cannot_be_applied_alike(world: World) -> None:
    with pytest.raises(InvariantError, match="older than 3.5"):
        world.apply(kinds.AUTH_USER_ADD, pb.AuthUserAddRequest(name=b"u", password=b"p"))


def test_the_applier_knows_these_requests(tmp_path: Path) -> None:
    with open_machine(tmp_path) as machine:
        entry = b"\xa2\x06\x02\x08\x07" + b"\x82\x4b\x03\n\x01r"  # header{7}, auth_role_add{r}
        assert machine.apply_data(entry)[0] == 7
        assert machine.backend.get(buckets.AUTH_ROLES, b"r") == b"\n\x01r"
        request_id, result = machine.apply_data(entry)

        assert isinstance(result, RoleAlreadyExist)
