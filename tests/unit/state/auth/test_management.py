"""Changes of users and roles. Most is told through the store: test_store.py."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from etcdpy.base.errors import InvalidAuthMgmt, RoleNotGranted
from etcdpy.pb import auth_pb2
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.state.auth.management import AuthManagement, NoPasswordUser
from etcdpy.state.auth.records import AuthRecords
from etcdpy.storage.backend import Backend


def test_passwords_are_hashes(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    records = AuthRecords(backend)
    management = AuthManagement(records)
    management.add_user(pb.AuthUserAddRequest(name=b"u", hashedPassword=base64.b64encode(b"one")))
    assert records.get_user(b"u").password == b"one"
    management.change_password(pb.AuthUserChangePasswordRequest(name=b"u", hashedPassword=base64.b64encode(b"two")))
    assert records.get_user(b"u").password == b"two"
    with pytest.raises(NoPasswordUser):
        management.change_password(pb.AuthUserChangePasswordRequest(name=b"u", hashedPassword=b"!"))
    assert management.grant_role(b"u", b"root") and not management.grant_role(b"u", b"root")
    management.revoke_role(b"u", b"root")
    with pytest.raises(RoleNotGranted):
        management.revoke_role(b"u", b"root")
    management.delete_user(b"u")
    assert records.find_user(b"u") is None
    backend.close()


def test_a_permission_for_nothing_is_none(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    management = AuthManagement(AuthRecords(backend))
    management.add_role(b"r")
    for key, end in ((b"", b""), (b"b", b"a"), (b"b", b"b")):
        empty = auth_pb2.Permission(key=key, range_end=end)
        with pytest.raises(InvalidAuthMgmt):
            management.grant_permission(pb.AuthRoleGrantPermissionRequest(name=b"r", perm=empty))
    backend.close()
