"""Users and roles in the buckets. A real member writes the same: tests/compat/test_log_of_a_real_etcd.py."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etcdpy.base.errors import (
    AuthFailed,
    AuthNotEnabled,
    AuthOldRevision,
    EtcdError,
    InvalidAuthMgmt,
    PermissionDenied,
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
from etcdpy.base.invariant import InvariantError
from etcdpy.pb import auth_pb2
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.pb.raft_internal_pb2 import InternalAuthenticateRequest
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.caller import NOBODY, Caller
from etcdpy.state.auth import AuthStore
from etcdpy.state.auth.management import NoPasswordUser
from etcdpy.state.auth.tokens import SimpleTokens
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
    if kind in (kinds.AUTH_USER_GET, kinds.AUTH_ROLE_GET):
        add_user(world)
        add_role(world)
        before = world.everything()
    world.apply(
        kind, pb.AuthUserGetRequest(name=b"u") if kind == kinds.AUTH_USER_GET else pb.AuthRoleGetRequest(role=b"r")
    )

    assert world.everything() == before


# -- authentication on


ROOT_CALLER = Caller(b"root", 100)


def switch_on(world: World) -> None:
    """User u has role r, and may write a."""
    for name in (b"root", b"u"):
        add_user(world, name)
    add_role(world)
    world.apply(kinds.AUTH_ROLE_GRANT_PERMISSION, grant(b"a", kind=1))
    world.apply(kinds.AUTH_USER_GRANT_ROLE, pb.AuthUserGrantRoleRequest(user=b"root", role=b"root"))
    world.apply(kinds.AUTH_USER_GRANT_ROLE, pb.AuthUserGrantRoleRequest(user=b"u", role=b"r"))
    world.apply(kinds.AUTH_ENABLE, pb.AuthEnableRequest())


def write_refusal(world: World, caller: Caller, key: bytes = b"a") -> type[EtcdError] | None:
    try:
        world.store.check_write(caller, key, b"")
    except EtcdError as error:
        return type(error)
    return None


def test_enabling_asks_for_a_root_that_is_root(world: World) -> None:
    assert world.refusal(kinds.AUTH_ENABLE, pb.AuthEnableRequest()) is RootUserNotExist
    add_user(world, b"root")
    assert world.refusal(kinds.AUTH_ENABLE, pb.AuthEnableRequest()) is RootRoleNotExist
    assert not world.store.is_enabled


def test_enabling_and_disabling_are_written_and_told(world: World) -> None:
    told: list[bool] = []
    world.store.on_switch = lambda: told.append(world.store.is_enabled)
    switch_on(world)
    before = world.revision
    assert world.backend.get(buckets.AUTH, b"authEnabled") == b"\x01"
    assert AuthStore(world.backend).is_enabled, "so it is after a restart"
    world.store.apply(kinds.AUTH_ENABLE, pb.AuthEnableRequest(), ROOT_CALLER)
    assert world.revision == before, "it counts nothing"

    world.store.apply(kinds.AUTH_DISABLE, pb.AuthDisableRequest(), ROOT_CALLER)
    assert world.backend.get(buckets.AUTH, b"authEnabled") == b"\x00"
    assert (world.revision, world.store.revision) == (before + 1, before + 1)
    assert told == [True, False]


def test_a_replaced_backend_is_read_anew(world: World) -> None:
    told: list[bool] = []
    world.store.on_switch = lambda: told.append(world.store.is_enabled)
    world.backend.put(buckets.AUTH, b"authEnabled", b"\x01")
    world.backend.put(buckets.AUTH, b"authRevision", (9).to_bytes(8, "big"))
    world.store.recover()

    assert (world.store.is_enabled, world.store.revision, told) == (True, 9, [True])


def test_who_may_write(world: World) -> None:
    switch_on(world)
    now = world.revision

    assert write_refusal(world, Caller(b"u", now)) is None
    assert write_refusal(world, Caller(b"u", now), b"b") is PermissionDenied
    assert write_refusal(world, Caller(b"root", now), b"b") is None
    assert write_refusal(world, Caller(b"nobody", now)) is PermissionDenied
    assert write_refusal(world, Caller(b"u", now - 1)) is AuthOldRevision
    assert write_refusal(world, NOBODY) is UserEmpty
    assert world.store.own_caller is not None and write_refusal(world, world.store.own_caller, b"z") is None


def test_a_change_counts_at_once(world: World) -> None:
    switch_on(world)
    assert write_refusal(world, Caller(b"u", world.revision), b"b") is PermissionDenied
    world.store.apply(kinds.AUTH_ROLE_GRANT_PERMISSION, grant(b"b", kind=2), ROOT_CALLER)
    assert write_refusal(world, Caller(b"u", world.revision), b"b") is None
    world.store.check_read(Caller(b"u", world.revision), b"b", b"")
    world.store.apply(kinds.AUTH_USER_REVOKE_ROLE, pb.AuthUserRevokeRoleRequest(name=b"u", role=b"r"), ROOT_CALLER)
    assert write_refusal(world, Caller(b"u", world.revision), b"b") is PermissionDenied


@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        (kinds.AUTH_USER_DELETE, pb.AuthUserDeleteRequest(name=b"root")),
        (kinds.AUTH_USER_REVOKE_ROLE, pb.AuthUserRevokeRoleRequest(name=b"root", role=b"root")),
        (kinds.AUTH_ROLE_DELETE, pb.AuthRoleDeleteRequest(role=b"root")),
    ],
)
def test_nobody_is_locked_out(world: World, kind: int, request_: Any) -> None:
    switch_on(world)
    with pytest.raises(InvalidAuthMgmt):
        world.store.apply(kind, request_, ROOT_CALLER)


def test_users_are_managed_by_root_only(world: World) -> None:
    switch_on(world)
    request = pb.AuthRoleAddRequest(name=b"new")
    for caller, refusal in (
        (NOBODY, UserEmpty),
        (Caller(b"u", world.revision), PermissionDenied),
        (Caller(b"nobody", world.revision), UserNotFound),
    ):
        with pytest.raises(refusal):
            world.store.apply(kinds.AUTH_ROLE_ADD, request, caller)
        with pytest.raises(refusal):
            world.store.apply(kinds.AUTH_STATUS, None, caller)
    world.store.apply(kinds.AUTH_ROLE_ADD, request, Caller(b"root", 1))  # the revision does not matter


def test_users_may_look_at_themselves(world: World) -> None:
    switch_on(world)
    caller, store = Caller(b"u", world.revision), world.store
    user = store.apply(kinds.AUTH_USER_GET, pb.AuthUserGetRequest(name=b"u"), caller)
    role = store.apply(kinds.AUTH_ROLE_GET, pb.AuthRoleGetRequest(role=b"r"), caller)

    assert pb.AuthUserGetResponse.FromString(user).roles == [b"r"]
    assert [known.key for known in pb.AuthRoleGetResponse.FromString(role).perm] == [b"a"]
    with pytest.raises(PermissionDenied):
        store.apply(kinds.AUTH_USER_GET, pb.AuthUserGetRequest(name=b"root"), caller)
    with pytest.raises(PermissionDenied):
        store.apply(kinds.AUTH_ROLE_GET, pb.AuthRoleGetRequest(role=b"other"), caller)


def test_a_log_in_is_a_token_in_memory(world: World) -> None:
    tokens = SimpleTokens(clock=lambda: 0.0, choose=lambda letters: letters[0])
    world.store = AuthStore(world.backend, tokens)
    switch_on(world)
    before = world.everything()
    request = InternalAuthenticateRequest(name=b"u", simple_token=b"prefix")
    answer = world.store.apply(kinds.AUTHENTICATE, request, NOBODY, 12)

    assert pb.AuthenticateResponse.FromString(answer).token == b"prefix.12"
    assert tokens.find(b"prefix.12", 1) is not None
    assert world.everything() == before
    delete = pb.AuthUserDeleteRequest(name=b"u")
    world.store.apply(kinds.AUTH_USER_DELETE, delete, ROOT_CALLER)
    assert tokens.find(b"prefix.12", 1) is None
    with pytest.raises(AuthFailed):
        world.store.apply(kinds.AUTHENTICATE, request, NOBODY, 13)


def test_which_hash_a_password_is_compared_with(world: World) -> None:
    with pytest.raises(AuthNotEnabled):
        world.store.password_hash(b"u")
    switch_on(world)
    assert world.store.password_hash(b"u") == b"$2a$hash"
    with pytest.raises(AuthFailed):
        world.store.password_hash(b"nobody")
    none = pb.AuthUserAddRequest(name=b"n", options=auth_pb2.UserAddOptions(no_password=True))
    world.store.apply(kinds.AUTH_USER_ADD, none, ROOT_CALLER)
    with pytest.raises(NoPasswordUser):
        world.store.password_hash(b"n")


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
