"""A log that a real etcd wrote, with what only Go writes: each entry is understood, and does the same here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etcdpy.pb import auth_pb2
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.pb.raft_values import ENTRY_NORMAL, ConfState
from etcdpy.storage.bolt.reader import BoltReader
from etcdpy.storage.schema import buckets
from etcdpy.storage.wal import WalSnapshot
from etcdpy.storage.wal.reader import read_contents
from tests.compat.both import Client
from tests.reference import start_reference_etcd
from tests.unit.state.apply.machine import Machine, open_machine

STRANGE = b"\xff\xfe"
# What Go's grpc and protobuf take; upb gives up long before.
NESTED_MAX = 127


def nested_put(depth: int) -> bytes:
    """A transaction `depth` levels deep, the innermost of which puts a key."""
    put = pb.PutRequest(key=b"deep", value=b"%d" % depth)
    message = pb.TxnRequest(success=[pb.RequestOp(request_put=put)]).SerializeToString()
    for _ in range(depth - 1):
        message = pb.TxnRequest(success=[pb.RequestOp(request_txn=message)]).SerializeToString()
    return message


def permission(key: bytes, range_end: bytes = b"", kind: int = 0) -> auth_pb2.Permission:
    return auth_pb2.Permission(key=key, range_end=range_end, permType=kind)  # type: ignore[arg-type]


REQUESTS: list[tuple[str, Any]] = [
    ("Auth/UserAdd", pb.AuthUserAddRequest(name=STRANGE, password=b"p")),
    ("Auth/UserAdd", pb.AuthUserAddRequest(name=b"user", password=b"p")),
    ("Auth/UserAdd", pb.AuthUserAddRequest(name=b"user", password=b"p")),  # refused
    ("Auth/UserAdd", pb.AuthUserAddRequest(name=b"gone", password=b"p")),
    ("Auth/UserAdd", pb.AuthUserAddRequest(name=b"np", options=auth_pb2.UserAddOptions(no_password=True))),
    ("Auth/UserChangePassword", pb.AuthUserChangePasswordRequest(name=b"user", password=b"q")),
    ("Auth/UserDelete", pb.AuthUserDeleteRequest(name=b"gone")),
    ("Auth/RoleAdd", pb.AuthRoleAddRequest(name=b"role")),
    ("Auth/RoleAdd", pb.AuthRoleAddRequest(name=STRANGE)),
    ("Auth/RoleAdd", pb.AuthRoleAddRequest(name=b"gone")),
    ("Auth/RoleGrantPermission", pb.AuthRoleGrantPermissionRequest(name=b"role", perm=permission(b"m", b"n", 2))),
    ("Auth/RoleGrantPermission", pb.AuthRoleGrantPermissionRequest(name=b"role", perm=permission(b"a"))),
    ("Auth/RoleGrantPermission", pb.AuthRoleGrantPermissionRequest(name=b"role", perm=permission(b"m", b"x"))),
    ("Auth/RoleGrantPermission", pb.AuthRoleGrantPermissionRequest(name=b"role", perm=permission(b"a", kind=1))),
    ("Auth/RoleRevokePermission", pb.AuthRoleRevokePermissionRequest(role=b"role", key=b"m", range_end=b"x")),
    ("Auth/UserGrantRole", pb.AuthUserGrantRoleRequest(user=b"user", role=b"role")),
    ("Auth/UserGrantRole", pb.AuthUserGrantRoleRequest(user=b"user", role=STRANGE)),
    ("Auth/UserGrantRole", pb.AuthUserGrantRoleRequest(user=b"user", role=b"gone")),
    ("Auth/UserGrantRole", pb.AuthUserGrantRoleRequest(user=b"user", role=b"role")),  # changes nothing
    ("Auth/UserGrantRole", pb.AuthUserGrantRoleRequest(user=STRANGE, role=b"root")),
    ("Auth/UserRevokeRole", pb.AuthUserRevokeRoleRequest(name=b"user", role=b"role")),
    ("Auth/RoleDelete", pb.AuthRoleDeleteRequest(role=b"gone")),
    ("Auth/UserGet", pb.AuthUserGetRequest(name=b"user")),
    ("Auth/UserList", pb.AuthUserListRequest()),
    ("Auth/RoleGet", pb.AuthRoleGetRequest(role=b"role")),
    ("Auth/RoleList", pb.AuthRoleListRequest()),
    ("Auth/AuthStatus", pb.AuthStatusRequest()),
    ("Auth/AuthEnable", pb.AuthEnableRequest()),  # refused: there is no user root
    ("Auth/AuthDisable", pb.AuthDisableRequest()),
    ("Auth/Authenticate", pb.AuthenticateRequest(name=b"user", password=b"q")),
    ("Lease/LeaseGrant", pb.LeaseGrantRequest(ID=7, TTL=3600)),
    ("KV/Put", pb.PutRequest(key=STRANGE, value=STRANGE, lease=7)),
    ("Maintenance/Alarm", pb.AlarmRequest(action=pb.AlarmRequest.ACTIVATE, memberID=5, alarm=pb.NOSPACE)),
    ("Maintenance/Alarm", pb.AlarmRequest(action=pb.AlarmRequest.DEACTIVATE, memberID=5, alarm=pb.NOSPACE)),
]


def write_log(server_folder: Path) -> Path:
    with start_reference_etcd(server_folder) as server, Client(server.endpoint) as client:
        for depth in (1, 50, 51, 52, 100, NESTED_MAX):
            status = client.status("KV/Txn", nested_put(depth))
            assert status == (0, ""), (depth, status)
        for urls, is_learner in [(["http://127.0.0.1:4"], True), ([server.peer_url], False)]:
            request = pb.MemberAddRequest(peerURLs=urls, isLearner=is_learner)
            client.status("Cluster/MemberAdd", request.SerializeToString())
            client.status("KV/Put", pb.PutRequest(key=b"settled").SerializeToString())
        for method, request in REQUESTS:
            client.status(method, request.SerializeToString())
        server.stop()
        return server.data_dir


def apply_log(machine: Machine, directory: Path) -> int:
    entries = read_contents(str(directory / "member" / "wal"), WalSnapshot(0, 0)).entries
    for entry in entries:
        if entry.type == ENTRY_NORMAL:
            machine.applier.apply_entry(entry)
        else:
            machine.applier.apply_conf_change(entry, lambda _: ConfState())
    return len(entries)


@pytest.mark.slow
def test_every_entry_of_a_real_log_does_the_same_here(tmp_path: Path) -> None:
    directory = write_log(tmp_path)

    with open_machine(tmp_path / "ours") as machine:
        count = apply_log(machine, directory)
        compared = [number for number in buckets.ALL if number not in (buckets.META, buckets.ALARM)]
        ours = {buckets.NAMES[number]: list(machine.backend.scan(number, b"", None)) for number in compared}

    assert count > len(REQUESTS)
    with BoltReader(directory / "member" / "snap" / "db") as reader:
        theirs = {
            buckets.NAMES[number]: [item for items in reader.iterate(buckets.NAMES[number]) for item in items]
            for number in compared
        }
    # Ours counts from nothing here; the first start of a member writes revision 1.
    assert _revision(ours) + 1 == _revision(theirs)
    for name in theirs:
        if name != b"auth":
            assert ours[name] == theirs[name], name
    assert len(theirs[b"authUsers"]) == 3 and len(theirs[b"authRoles"]) == 2 and len(theirs[b"members"]) == 2


def _revision(found: dict[bytes, list[tuple[bytes, bytes]]]) -> int:
    return int.from_bytes(dict(found[b"auth"])[b"authRevision"], "big")
