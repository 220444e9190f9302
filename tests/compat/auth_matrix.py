"""The matrix of permissions: every method, asked by everybody who could ask; and the world in which they ask.

    ROWS          name, method, request: in this order, each by all of CALLERS
    FIXED_SINCE   the cells that 3.5.33 decides otherwise than 3.5.1, and what is said there

Users may read (reader), write (writer), or both (both) of [a, c); lease 1 holds aa, lease 2 holds xx. Requests change
nothing that another row depends on, or what all servers change alike: downgrades go to versions that are none, or are
cancelled where none is on. KV/RangeStream, which 3.5.1 does not know, has the rows of KV/Range.
"""

from __future__ import annotations

from typing import Any, Final

from etcdpy.client.request import operation
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.pb import v3election_pb2 as election
from etcdpy.pb import v3lock_pb2 as lock
from etcdpy.pb.auth_pb2 import Permission, UserAddOptions
from tests.compat.auth_operations import Player, Step

# A hash at the usual cost takes a tenth of a second.
CHEAP: Final = ("--bcrypt-cost=4",)
READ, WRITE, READWRITE = Permission.READ, Permission.WRITE, Permission.READWRITE

Row = tuple[str, str, Any]
WORLD_KEYS: Final = (b"a", b"aa", b"b", b"c", b"x", b"xx")
# Stands for the URL of the member itself in a request to add one.
OWN_PEER_URL: Final = "own"
LOCK, ELECTION = "/v3lockpb.Lock/", "/v3electionpb.Election/"


def get(key: bytes, range_end: bytes = b"", **fields: Any) -> pb.RangeRequest:
    return pb.RangeRequest(key=key, range_end=range_end, **fields)


def put(key: bytes, **fields: Any) -> pb.PutRequest:
    return pb.PutRequest(key=key, value=b"v", **fields)


def delete(key: bytes, range_end: bytes = b"", **fields: Any) -> pb.DeleteRangeRequest:
    return pb.DeleteRangeRequest(key=key, range_end=range_end, **fields)


def txn(*success: Any, failure: tuple[Any, ...] = (), compare: tuple[pb.Compare, ...] = ()) -> pb.TxnRequest:
    return pb.TxnRequest(compare=compare, success=map(operation, success), failure=map(operation, failure))


def alarm(action: pb.AlarmRequest.AlarmAction.ValueType) -> pb.AlarmRequest:
    return pb.AlarmRequest(action=action, memberID=1, alarm=pb.NOSPACE)


def downgrade(action: pb.DowngradeRequest.DowngradeAction.ValueType, version: str = "") -> pb.DowngradeRequest:
    return pb.DowngradeRequest(action=action, version=version)


LEADER_KEY: Final = election.LeaderKey(name=b"b", key=b"b/1", rev=1, lease=1)
ROWS: Final[list[Row]] = [
    ("range", "KV/Range", get(b"a")),
    ("range of two", "KV/Range", get(b"a", b"c")),
    ("range beyond", "KV/Range", get(b"a", b"d")),
    ("range, serializable", "KV/Range", get(b"x", serializable=True)),
    ("range from a key", "KV/Range", get(b"a", b"\0")),
    ("range of all", "KV/Range", get(b"\0", b"\0")),
    ("range beyond, serializable", "KV/Range", get(b"a", b"d", serializable=True)),
    ("range from a key, serializable", "KV/Range", get(b"a", b"\0", serializable=True)),
    ("range of two, serializable", "KV/Range", get(b"a", b"c", serializable=True)),
    ("range elsewhere, counted", "KV/Range", get(b"x", count_only=True)),
    ("range that is empty", "KV/Range", get(b"b", b"a")),
    ("range that is empty, elsewhere", "KV/Range", get(b"x", b"a")),
    ("put", "KV/Put", put(b"a")),
    ("put elsewhere", "KV/Put", put(b"x")),
    ("put with prev_kv", "KV/Put", put(b"a", prev_kv=True)),
    ("put, ignoring", "KV/Put", pb.PutRequest(key=b"a", ignore_value=True, ignore_lease=True)),
    ("put on a lease", "KV/Put", put(b"a", lease=1)),
    ("put on a lease of others", "KV/Put", put(b"b", lease=2)),
    ("put on no lease", "KV/Put", put(b"b", lease=9)),
    ("put on a lease with prev_kv", "KV/Put", put(b"a", lease=1, prev_kv=True)),
    ("put without a key", "KV/Put", put(b"")),
    ("delete", "KV/DeleteRange", delete(b"none")),
    ("delete in range", "KV/DeleteRange", delete(b"b", b"bb")),
    ("delete in range beyond", "KV/DeleteRange", delete(b"bb", b"bbb", prev_kv=True)),
    ("delete of all", "KV/DeleteRange", delete(b"y", b"z")),
    ("delete with prev_kv", "KV/DeleteRange", delete(b"b", prev_kv=True)),
    ("delete from a key", "KV/DeleteRange", delete(b"y", b"\0")),
    ("txn that reads", "KV/Txn", txn(get(b"a"))),
    ("txn that reads beyond", "KV/Txn", txn(get(b"a", b"d"))),
    ("txn that writes", "KV/Txn", txn(put(b"a"))),
    ("txn that compares", "KV/Txn", txn(put(b"a"), compare=(pb.Compare(key=b"a"),))),
    ("txn that compares elsewhere", "KV/Txn", txn(put(b"a"), compare=(pb.Compare(key=b"x"),))),
    ("txn that compares a range", "KV/Txn", txn(compare=(pb.Compare(key=b"a", range_end=b"d"),))),
    ("txn in the branch not taken", "KV/Txn", txn(failure=(put(b"x"),))),
    ("txn that deletes with prev_kv", "KV/Txn", txn(delete(b"b", prev_kv=True))),
    ("txn with prev_kv", "KV/Txn", txn(put(b"a", prev_kv=True))),
    ("txn on a lease of others", "KV/Txn", txn(put(b"b", lease=2))),
    ("txn that reads, nested", "KV/Txn", txn(txn(get(b"x")))),
    ("txn that writes, nested", "KV/Txn", txn(txn(txn(put(b"x"))))),
    ("txn that compares, nested", "KV/Txn", txn(txn(compare=(pb.Compare(key=b"x"),)))),
    ("txn that deletes from a key, nested", "KV/Txn", txn(txn(delete(b"y", b"\0")))),
    ("txn that deletes with prev_kv, nested", "KV/Txn", txn(txn(delete(b"b", prev_kv=True)))),
    ("txn with prev_kv, nested", "KV/Txn", txn(txn(put(b"a", prev_kv=True)))),
    ("txn on a lease of others, nested", "KV/Txn", txn(txn(put(b"b", lease=2)))),
    ("txn in the branch not taken, nested", "KV/Txn", txn(txn(failure=(put(b"x"),)))),
    ("txn that reads from a key", "KV/Txn", txn(get(b"a", b"\0"))),
    ("txn that reads, serializable", "KV/Txn", txn(get(b"x", serializable=True))),
    ("txn on a lease, permitted", "KV/Txn", txn(put(b"a", lease=1))),
    ("txn of nothing", "KV/Txn", txn()),
    ("compact", "KV/Compact", pb.CompactionRequest(revision=1000)),
    ("watch", "Watch/Watch", pb.WatchCreateRequest(key=b"a")),
    ("watch of a range", "Watch/Watch", pb.WatchCreateRequest(key=b"a", range_end=b"c", prev_kv=True)),
    ("watch beyond", "Watch/Watch", pb.WatchCreateRequest(key=b"a", range_end=b"d")),
    ("watch from a key", "Watch/Watch", pb.WatchCreateRequest(key=b"a", range_end=b"\0")),
    ("watch of all", "Watch/Watch", pb.WatchCreateRequest(key=b"\0", range_end=b"\0")),
    ("watch without a key", "Watch/Watch", pb.WatchCreateRequest()),
    ("grant", "Lease/LeaseGrant", pb.LeaseGrantRequest(ID=1, TTL=600)),
    ("revoke of none", "Lease/LeaseRevoke", pb.LeaseRevokeRequest(ID=9)),
    ("time to live", "Lease/LeaseTimeToLive", pb.LeaseTimeToLiveRequest(ID=1)),
    ("time to live with keys", "Lease/LeaseTimeToLive", pb.LeaseTimeToLiveRequest(ID=1, keys=True)),
    ("time to live with keys of others", "Lease/LeaseTimeToLive", pb.LeaseTimeToLiveRequest(ID=2, keys=True)),
    ("renewal", "Lease/LeaseKeepAlive", pb.LeaseKeepAliveRequest(ID=1)),
    ("renewal of others", "Lease/LeaseKeepAlive", pb.LeaseKeepAliveRequest(ID=2)),
    ("renewal of none", "Lease/LeaseKeepAlive", pb.LeaseKeepAliveRequest(ID=9)),
    ("leases", "Lease/LeaseLeases", pb.LeaseLeasesRequest()),
    ("lock", LOCK + "Lock", lock.LockRequest(name=b"a", lease=1)),
    ("lock elsewhere", LOCK + "Lock", lock.LockRequest(name=b"x", lease=2)),
    ("lock released", LOCK + "Unlock", lock.UnlockRequest(key=b"a/1")),
    ("campaign", ELECTION + "Campaign", election.CampaignRequest(name=b"b", lease=1, value=b"v")),
    ("campaign elsewhere", ELECTION + "Campaign", election.CampaignRequest(name=b"x", lease=2)),
    ("proclaimed", ELECTION + "Proclaim", election.ProclaimRequest(leader=LEADER_KEY, value=b"w")),
    ("who leads", ELECTION + "Leader", election.LeaderRequest(name=b"b")),
    ("who leads elsewhere", ELECTION + "Leader", election.LeaderRequest(name=b"x")),
    ("observed", ELECTION + "Observe", election.LeaderRequest(name=b"b")),
    ("resigned", ELECTION + "Resign", election.ResignRequest(leader=LEADER_KEY)),
    ("revoke of others", "Lease/LeaseRevoke", pb.LeaseRevokeRequest(ID=2)),
    ("members", "Cluster/MemberList", pb.MemberListRequest()),
    ("members, linearizable", "Cluster/MemberList", pb.MemberListRequest(linearizable=True)),
    ("member removed", "Cluster/MemberRemove", pb.MemberRemoveRequest(ID=1)),
    ("member added", "Cluster/MemberAdd", pb.MemberAddRequest(peerURLs=[OWN_PEER_URL])),
    ("learner added", "Cluster/MemberAdd", pb.MemberAddRequest(peerURLs=[OWN_PEER_URL], isLearner=True)),
    ("member moved", "Cluster/MemberUpdate", pb.MemberUpdateRequest(ID=1, peerURLs=["http://127.0.0.1:1"])),
    ("member promoted", "Cluster/MemberPromote", pb.MemberPromoteRequest(ID=1)),
    ("status", "Maintenance/Status", pb.StatusRequest()),
    ("alarms", "Maintenance/Alarm", pb.AlarmRequest()),
    ("alarm on", "Maintenance/Alarm", alarm(pb.AlarmRequest.ACTIVATE)),
    ("alarm off", "Maintenance/Alarm", alarm(pb.AlarmRequest.DEACTIVATE)),
    ("hash", "Maintenance/Hash", pb.HashRequest()),
    ("hash of keys", "Maintenance/HashKV", pb.HashKVRequest()),
    ("defragment", "Maintenance/Defragment", pb.DefragmentRequest()),
    ("snapshot", "Maintenance/Snapshot", pb.SnapshotRequest()),
    ("lead moved", "Maintenance/MoveLeader", pb.MoveLeaderRequest(targetID=1)),
    ("downgrade looked at", "Maintenance/Downgrade", downgrade(pb.DowngradeRequest.VALIDATE, "3.4")),
    ("downgrade looked at, to no version", "Maintenance/Downgrade", downgrade(pb.DowngradeRequest.VALIDATE, "x")),
    ("downgrade on", "Maintenance/Downgrade", downgrade(pb.DowngradeRequest.ENABLE, "3.3")),
    ("downgrade on, to no version", "Maintenance/Downgrade", downgrade(pb.DowngradeRequest.ENABLE, "x")),
    ("downgrade off", "Maintenance/Downgrade", downgrade(pb.DowngradeRequest.CANCEL)),
    ("auth status", "Auth/AuthStatus", pb.AuthStatusRequest()),
    ("auth on again", "Auth/AuthEnable", pb.AuthEnableRequest()),
    (
        "user added without a password",
        "Auth/UserAdd",
        pb.AuthUserAddRequest(name=b"reader", hashedPassword=b"aGFzaA=="),
    ),
    ("own user described", "Auth/UserGet", pb.AuthUserGetRequest(name=b"without")),
    ("user added", "Auth/UserAdd", pb.AuthUserAddRequest(name=b"reader", password=b"x")),
    ("user described", "Auth/UserGet", pb.AuthUserGetRequest(name=b"reader")),
    ("users", "Auth/UserList", pb.AuthUserListRequest()),
    ("user deleted", "Auth/UserDelete", pb.AuthUserDeleteRequest(name=b"nobody")),
    ("password of none", "Auth/UserChangePassword", pb.AuthUserChangePasswordRequest(name=b"none", password=b"x")),
    ("role granted", "Auth/UserGrantRole", pb.AuthUserGrantRoleRequest(user=b"none", role=b"r")),
    ("role revoked", "Auth/UserRevokeRole", pb.AuthUserRevokeRoleRequest(name=b"root", role=b"root")),
    ("role added", "Auth/RoleAdd", pb.AuthRoleAddRequest(name=b"r-reader")),
    ("role described", "Auth/RoleGet", pb.AuthRoleGetRequest(role=b"r-reader")),
    ("roles", "Auth/RoleList", pb.AuthRoleListRequest()),
    ("role deleted", "Auth/RoleDelete", pb.AuthRoleDeleteRequest(role=b"root")),
    ("permission given", "Auth/RoleGrantPermission", pb.AuthRoleGrantPermissionRequest(name=b"r-reader")),
    ("permission taken", "Auth/RoleRevokePermission", pb.AuthRoleRevokePermissionRequest(role=b"none", key=b"a")),
    ("log-in", "Auth/Authenticate", pb.AuthenticateRequest(name=b"reader", password=b"wrong")),
    ("log-in of none", "Auth/Authenticate", pb.AuthenticateRequest(name=b"none", password=b"x")),
    ("log-in without a password", "Auth/Authenticate", pb.AuthenticateRequest(name=b"passless", password=b"x")),
    ("auth off", "Auth/AuthDisable", pb.AuthDisableRequest()),  # root comes last, and then it is
]
CALLERS: Final = (b"", b"stranger", b"expired", b"without", b"reader", b"writer", b"both", b"root")
DENIED: Final = (7, "etcdserver: permission denied")
NO_USER: Final = (3, "etcdserver: user name is empty")
NO_TOKEN: Final = (16, "etcdserver: invalid auth token")
NO_LOG_IN: Final = {b"": NO_USER, b"stranger": NO_TOKEN, b"expired": NO_TOKEN}
NOT_ROOT: Final = {**NO_LOG_IN, **dict.fromkeys((b"without", b"reader", b"writer", b"both"), DENIED)}
NOT_READER: Final = {**NO_LOG_IN, b"without": DENIED, b"writer": DENIED}
NOT_WRITER: Final = {**NO_LOG_IN, b"without": DENIED, b"reader": DENIED}
BOTH_ALLOWED: Final = {b"both": (0, "")}
# A watch is refused within its stream; 3.5.1 has one reason for everything.
WATCH_DENIED: Final = (0, "rpc error: code = PermissionDenied desc = etcdserver: permission denied")
WATCH_NO_LOG_IN: Final = {
    b"": (0, "rpc error: code = InvalidArgument desc = etcdserver: user name is empty"),
    **dict.fromkeys(
        (b"stranger", b"expired"), (0, "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token")
    ),
}
# What was put right after 3.5.1 (CVE-2023-32082, CVE-2026-33343, CVE-2026-33413, CVE-2026-44283, CVE-2026-73499, and
# the reasons why watches are refused): row -> who gets what.
FIXED_SINCE: Final[dict[str, dict[bytes, tuple[int, str]]]] = {
    "compact": NOT_ROOT,
    "grant": NO_LOG_IN,
    "revoke of none": NO_LOG_IN,
    "revoke of others": NO_LOG_IN,
    "time to live": NO_LOG_IN,
    "time to live with keys": NOT_READER,
    "time to live with keys of others": NOT_ROOT,
    "leases": NOT_ROOT,
    "members": NO_LOG_IN,
    "members, linearizable": NO_LOG_IN,
    "status": NO_LOG_IN,
    "alarms": NO_LOG_IN,
    "alarm off": NOT_ROOT,
    "lead moved": NOT_ROOT,
    "alarm on": NOT_ROOT,
    "downgrade looked at": NOT_ROOT,
    "downgrade looked at, to no version": NOT_ROOT,
    "downgrade on": NOT_ROOT,
    "downgrade on, to no version": NOT_ROOT,
    "downgrade off": NOT_ROOT,
    "renewal": NOT_WRITER,
    "renewal of others": NOT_ROOT,
    "renewal of none": NO_LOG_IN,
    "watch": WATCH_NO_LOG_IN,
    "watch of a range": WATCH_NO_LOG_IN,
    "watch beyond": WATCH_NO_LOG_IN,
    "watch from a key": {**WATCH_NO_LOG_IN, b"reader": WATCH_DENIED, b"both": WATCH_DENIED},
    "watch of all": WATCH_NO_LOG_IN,
    "watch without a key": WATCH_NO_LOG_IN,
    "txn with prev_kv": NOT_ROOT | BOTH_ALLOWED,
    "txn with prev_kv, nested": NOT_ROOT | BOTH_ALLOWED,
    "txn that deletes with prev_kv, nested": NOT_ROOT | BOTH_ALLOWED,
    "txn that deletes from a key, nested": NOT_ROOT,
    "txn on a lease of others, nested": NOT_ROOT,
    "txn in the branch not taken, nested": NOT_ROOT,
    "txn on a lease of others": NOT_ROOT,
    "txn that reads, nested": NOT_ROOT,
    "txn that writes, nested": NOT_ROOT,
    "txn that compares, nested": NOT_ROOT,
}


def set_up(player: Player) -> None:
    """Keys, leases, users and roles; then authentication on, and everybody logs in."""
    steps: list[tuple[str, Any]] = [("Lease/LeaseGrant", pb.LeaseGrantRequest(ID=lease, TTL=6000)) for lease in (1, 2)]
    steps += [("KV/Put", put(key, lease={b"aa": 1, b"xx": 2}.get(key, 0))) for key in WORLD_KEYS]
    for user, kind in ((b"reader", READ), (b"writer", WRITE), (b"both", READWRITE)):
        permission = Permission(permType=kind, key=b"a", range_end=b"c")
        steps += [
            ("Auth/UserAdd", pb.AuthUserAddRequest(name=user, password=user)),
            ("Auth/RoleAdd", pb.AuthRoleAddRequest(name=b"r-" + user)),
            ("Auth/RoleGrantPermission", pb.AuthRoleGrantPermissionRequest(name=b"r-" + user, perm=permission)),
            ("Auth/UserGrantRole", pb.AuthUserGrantRoleRequest(user=user, role=b"r-" + user)),
        ]
    steps += [("Auth/UserAdd", pb.AuthUserAddRequest(name=name, password=name)) for name in (b"without", b"root")]
    steps += [
        ("Auth/UserAdd", pb.AuthUserAddRequest(name=b"passless", options=UserAddOptions(no_password=True))),
        ("Auth/UserAdd", pb.AuthUserAddRequest(name=b"expired", password=b"expired")),
        ("Auth/UserGrantRole", pb.AuthUserGrantRoleRequest(user=b"root", role=b"root")),
        ("Auth/AuthEnable", pb.AuthEnableRequest()),
    ]
    for method, request in steps:
        seen = player.play(Step(b"", method, request))
        assert seen.code == 0, (method, request, seen)
    for user in CALLERS[2:]:
        player.log_in(user)
    # Its password changes: the token is void.
    change = pb.AuthUserChangePasswordRequest(name=b"expired", password=b"new")
    assert player.play(Step(b"root", "Auth/UserChangePassword", change)).code == 0
