"""The calls of the v3 API: path, type of the answer, and whether a failed one may be repeated.

A closed set, as data. Reads are repeatable, writes are not (see `retry`); the same division as in etcd's client.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from google.protobuf.message import Message

from etcdpy.pb import rpc_pb2 as rpc

Answer = TypeVar("Answer", bound=Message)


class Method(Generic[Answer]):
    """One unary call."""

    __slots__ = ("path", "answer", "repeatable")

    def __init__(self, path: bytes, answer: type[Answer], *, repeatable: bool) -> None:
        self.path = path
        self.answer = answer
        self.repeatable = repeatable


KV_RANGE: Final = Method(b"/etcdserverpb.KV/Range", rpc.RangeResponse, repeatable=True)
KV_PUT: Final = Method(b"/etcdserverpb.KV/Put", rpc.PutResponse, repeatable=False)
KV_DELETE_RANGE: Final = Method(b"/etcdserverpb.KV/DeleteRange", rpc.DeleteRangeResponse, repeatable=False)
KV_TXN: Final = Method(b"/etcdserverpb.KV/Txn", rpc.TxnResponse, repeatable=False)
# A transaction of reads only; the caller looks into it.
KV_TXN_READ: Final = Method(b"/etcdserverpb.KV/Txn", rpc.TxnResponse, repeatable=True)
KV_COMPACT: Final = Method(b"/etcdserverpb.KV/Compact", rpc.CompactionResponse, repeatable=False)

LEASE_GRANT: Final = Method(b"/etcdserverpb.Lease/LeaseGrant", rpc.LeaseGrantResponse, repeatable=True)
LEASE_REVOKE: Final = Method(b"/etcdserverpb.Lease/LeaseRevoke", rpc.LeaseRevokeResponse, repeatable=True)
LEASE_TIME_TO_LIVE: Final = Method(b"/etcdserverpb.Lease/LeaseTimeToLive", rpc.LeaseTimeToLiveResponse, repeatable=True)
LEASE_LEASES: Final = Method(b"/etcdserverpb.Lease/LeaseLeases", rpc.LeaseLeasesResponse, repeatable=True)

CLUSTER_MEMBER_LIST: Final = Method(b"/etcdserverpb.Cluster/MemberList", rpc.MemberListResponse, repeatable=True)
CLUSTER_MEMBER_ADD: Final = Method(b"/etcdserverpb.Cluster/MemberAdd", rpc.MemberAddResponse, repeatable=False)
CLUSTER_MEMBER_REMOVE: Final = Method(b"/etcdserverpb.Cluster/MemberRemove", rpc.MemberRemoveResponse, repeatable=False)
CLUSTER_MEMBER_UPDATE: Final = Method(b"/etcdserverpb.Cluster/MemberUpdate", rpc.MemberUpdateResponse, repeatable=False)
CLUSTER_MEMBER_PROMOTE: Final = Method(
    b"/etcdserverpb.Cluster/MemberPromote", rpc.MemberPromoteResponse, repeatable=False
)

MAINTENANCE_ALARM: Final = Method(b"/etcdserverpb.Maintenance/Alarm", rpc.AlarmResponse, repeatable=True)
MAINTENANCE_STATUS: Final = Method(b"/etcdserverpb.Maintenance/Status", rpc.StatusResponse, repeatable=True)
MAINTENANCE_DEFRAGMENT: Final = Method(
    b"/etcdserverpb.Maintenance/Defragment", rpc.DefragmentResponse, repeatable=False
)
MAINTENANCE_HASH_KV: Final = Method(b"/etcdserverpb.Maintenance/HashKV", rpc.HashKVResponse, repeatable=True)
MAINTENANCE_MOVE_LEADER: Final = Method(
    b"/etcdserverpb.Maintenance/MoveLeader", rpc.MoveLeaderResponse, repeatable=True
)
MAINTENANCE_DOWNGRADE: Final = Method(b"/etcdserverpb.Maintenance/Downgrade", rpc.DowngradeResponse, repeatable=False)

AUTH_AUTHENTICATE: Final = Method(b"/etcdserverpb.Auth/Authenticate", rpc.AuthenticateResponse, repeatable=False)
AUTH_ENABLE: Final = Method(b"/etcdserverpb.Auth/AuthEnable", rpc.AuthEnableResponse, repeatable=False)
AUTH_DISABLE: Final = Method(b"/etcdserverpb.Auth/AuthDisable", rpc.AuthDisableResponse, repeatable=False)
AUTH_STATUS: Final = Method(b"/etcdserverpb.Auth/AuthStatus", rpc.AuthStatusResponse, repeatable=True)
USER_ADD: Final = Method(b"/etcdserverpb.Auth/UserAdd", rpc.AuthUserAddResponse, repeatable=False)
USER_GET: Final = Method(b"/etcdserverpb.Auth/UserGet", rpc.AuthUserGetResponse, repeatable=True)
USER_LIST: Final = Method(b"/etcdserverpb.Auth/UserList", rpc.AuthUserListResponse, repeatable=True)
USER_DELETE: Final = Method(b"/etcdserverpb.Auth/UserDelete", rpc.AuthUserDeleteResponse, repeatable=False)
USER_CHANGE_PASSWORD: Final = Method(
    b"/etcdserverpb.Auth/UserChangePassword", rpc.AuthUserChangePasswordResponse, repeatable=False
)
USER_GRANT_ROLE: Final = Method(b"/etcdserverpb.Auth/UserGrantRole", rpc.AuthUserGrantRoleResponse, repeatable=False)
USER_REVOKE_ROLE: Final = Method(b"/etcdserverpb.Auth/UserRevokeRole", rpc.AuthUserRevokeRoleResponse, repeatable=False)
ROLE_ADD: Final = Method(b"/etcdserverpb.Auth/RoleAdd", rpc.AuthRoleAddResponse, repeatable=False)
ROLE_GET: Final = Method(b"/etcdserverpb.Auth/RoleGet", rpc.AuthRoleGetResponse, repeatable=True)
ROLE_LIST: Final = Method(b"/etcdserverpb.Auth/RoleList", rpc.AuthRoleListResponse, repeatable=True)
ROLE_DELETE: Final = Method(b"/etcdserverpb.Auth/RoleDelete", rpc.AuthRoleDeleteResponse, repeatable=False)
ROLE_GRANT_PERMISSION: Final = Method(
    b"/etcdserverpb.Auth/RoleGrantPermission", rpc.AuthRoleGrantPermissionResponse, repeatable=False
)
ROLE_REVOKE_PERMISSION: Final = Method(
    b"/etcdserverpb.Auth/RoleRevokePermission", rpc.AuthRoleRevokePermissionResponse, repeatable=False
)

# Streams.
RANGE_STREAM_PATH: Final = b"/etcdserverpb.KV/RangeStream"
WATCH_PATH: Final = b"/etcdserverpb.Watch/Watch"
LEASE_KEEP_ALIVE_PATH: Final = b"/etcdserverpb.Lease/LeaseKeepAlive"
SNAPSHOT_PATH: Final = b"/etcdserverpb.Maintenance/Snapshot"
