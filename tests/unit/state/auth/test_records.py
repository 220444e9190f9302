"""Users, roles and settings in their buckets."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.base.errors import RoleNotFound, UserNotFound
from etcdpy.pb import auth_pb2
from etcdpy.state.auth.records import AuthRecords
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets


def test_what_is_put_is_found(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    records = AuthRecords(backend)
    for name in (b"b", b"\xff\xfe", b"a"):
        records.put_user(auth_pb2.User(name=name))
        records.put_role(auth_pb2.Role(name=name))

    assert [user.name for user in records.users()] == [b"a", b"b", b"\xff\xfe"]
    assert [role.name for role in records.roles()] == [b"a", b"b"], "upstream's scan of roles ends at ff"
    assert records.get_user(b"a").name == records.get_role(b"a").name == b"a"
    records.delete_user(b"a")
    records.delete_role(b"a")
    for missing in (b"a", b""):
        assert records.find_user(missing) is None and records.find_role(missing) is None
        with pytest.raises(UserNotFound):
            records.get_user(missing)
        with pytest.raises(RoleNotFound):
            records.get_role(missing)
    backend.close()


def test_the_settings(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    records = AuthRecords(backend)
    assert not records.is_enabled()
    records.put_enabled(enabled=True)
    records.put_revision(7)

    assert (records.is_enabled(), records.revision()) == (True, 7)
    assert backend.get(buckets.AUTH, b"authRevision") == b"\0" * 7 + b"\7"
    records.put_enabled(enabled=False)
    assert backend.get(buckets.AUTH, b"authEnabled") == b"\0"
    backend.close()
