"""Users, roles and permissions: ours and the real etcd 3.5.1 answer alike."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from etcdpy.pb import rpc_pb2 as pb
from etcdpy.pb.auth_pb2 import Permission, UserAddOptions
from tests.compat.auth_operations import Player, Seen, Step, generate
from tests.compat.both import run_on_both
from tests.ours import ours_binary
from tests.reference import RunningEtcd, start_reference_etcd

pytestmark = pytest.mark.slow

STEPS_PER_SEED: Final = 700
READ, WRITE, READWRITE = Permission.READ, Permission.WRITE, Permission.READWRITE
SEEDS: Final = (1, 2)
# A hash at the usual cost takes a tenth of a second.
CHEAP: Final = ("--bcrypt-cost=4",)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_operations_of_several_users(tmp_path: Path, seed: int) -> None:
    steps = generate(seed, STEPS_PER_SEED)

    def script(server: RunningEtcd) -> list[Seen]:
        player = Player(server.endpoint)
        seen = [player.play(step) for step in steps]
        player.close()
        return seen

    seen = run_on_both(tmp_path, script, flags=CHEAP)
    for number, (step, theirs, ours) in enumerate(zip(steps, seen.theirs, seen.ours, strict=True)):
        assert ours == theirs, f"seed {seed}, step {number}: {step}"
    texts = Counter(answer.text for answer in seen.ours)
    assert texts[""] > STEPS_PER_SEED / 3
    for text in ("permission denied", "user name is empty", "invalid auth token", "invalid auth management"):
        assert texts[f"etcdserver: {text}"] > 0, texts


# -- the matrix: who may do what, asked of both


Row = tuple[str, str, Any]
WORLD_KEYS: Final = (b"a", b"aa", b"b", b"c", b"x", b"xx")


def get(key: bytes, range_end: bytes = b"", **fields: Any) -> pb.RangeRequest:
    return pb.RangeRequest(key=key, range_end=range_end, **fields)


def put(key: bytes, **fields: Any) -> pb.PutRequest:
    return pb.PutRequest(key=key, value=b"v", **fields)


def delete(key: bytes, range_end: bytes = b"", **fields: Any) -> pb.DeleteRangeRequest:
    return pb.DeleteRangeRequest(key=key, range_end=range_end, **fields)


def op(request: Any) -> pb.RequestOp:
    if isinstance(request, pb.PutRequest):
        return pb.RequestOp(request_put=request)
    if isinstance(request, pb.RangeRequest):
        return pb.RequestOp(request_range=request)
    if isinstance(request, pb.DeleteRangeRequest):
        return pb.RequestOp(request_delete_range=request)
    return pb.RequestOp(request_txn=request.SerializeToString())


def txn(*success: Any, failure: tuple[Any, ...] = (), compare: tuple[pb.Compare, ...] = ()) -> pb.TxnRequest:
    return pb.TxnRequest(compare=compare, success=map(op, success), failure=map(op, failure))


# Users may read (reader), write (writer), or both (both) of [a, c); lease 1 holds aa, lease 2 holds xx.
ROWS: Final[list[Row]] = [
    ("range", "KV/Range", get(b"a")),
    ("range of two", "KV/Range", get(b"a", b"c")),
    ("range beyond", "KV/Range", get(b"a", b"d")),
    ("range, serializable", "KV/Range", get(b"x", serializable=True)),
    ("range from a key", "KV/Range", get(b"a", b"\0")),
    ("range of all", "KV/Range", get(b"\0", b"\0")),
    ("range that is empty", "KV/Range", get(b"b", b"a")),
    ("range that is empty, elsewhere", "KV/Range", get(b"x", b"a")),
    ("put", "KV/Put", put(b"a")),
    ("put elsewhere", "KV/Put", put(b"x")),
    ("put with prev_kv", "KV/Put", put(b"a", prev_kv=True)),
    ("put, ignoring", "KV/Put", pb.PutRequest(key=b"a", ignore_value=True, ignore_lease=True)),
    ("put on a lease", "KV/Put", put(b"a", lease=1)),
    ("put on a lease of others", "KV/Put", put(b"b", lease=2)),
    ("put on no lease", "KV/Put", put(b"b", lease=9)),
    ("put without a key", "KV/Put", put(b"")),
    ("delete", "KV/DeleteRange", delete(b"none")),
    ("delete in range", "KV/DeleteRange", delete(b"b", b"bb")),
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
    ("txn of nothing", "KV/Txn", txn()),
    ("compact", "KV/Compact", pb.CompactionRequest(revision=1000)),
    ("grant", "Lease/LeaseGrant", pb.LeaseGrantRequest(ID=1, TTL=600)),
    ("revoke of none", "Lease/LeaseRevoke", pb.LeaseRevokeRequest(ID=9)),
    ("time to live", "Lease/LeaseTimeToLive", pb.LeaseTimeToLiveRequest(ID=1)),
    ("time to live with keys", "Lease/LeaseTimeToLive", pb.LeaseTimeToLiveRequest(ID=1, keys=True)),
    ("time to live with keys of others", "Lease/LeaseTimeToLive", pb.LeaseTimeToLiveRequest(ID=2, keys=True)),
    ("leases", "Lease/LeaseLeases", pb.LeaseLeasesRequest()),
    ("revoke of others", "Lease/LeaseRevoke", pb.LeaseRevokeRequest(ID=2)),
    ("members", "Cluster/MemberList", pb.MemberListRequest()),
    ("members, linearizable", "Cluster/MemberList", pb.MemberListRequest(linearizable=True)),
    ("member removed", "Cluster/MemberRemove", pb.MemberRemoveRequest(ID=1)),
    ("status", "Maintenance/Status", pb.StatusRequest()),
    ("alarms", "Maintenance/Alarm", pb.AlarmRequest()),
    ("alarm off", "Maintenance/Alarm", pb.AlarmRequest(action=pb.AlarmRequest.DEACTIVATE, alarm=pb.NOSPACE)),
    ("hash", "Maintenance/Hash", pb.HashRequest()),
    ("hash of keys", "Maintenance/HashKV", pb.HashKVRequest()),
    ("defragment", "Maintenance/Defragment", pb.DefragmentRequest()),
    ("lead moved", "Maintenance/MoveLeader", pb.MoveLeaderRequest(targetID=1)),
    ("auth status", "Auth/AuthStatus", pb.AuthStatusRequest()),
    ("auth on again", "Auth/AuthEnable", pb.AuthEnableRequest()),
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
]
CALLERS: Final = (b"", b"stranger", b"expired", b"without", b"reader", b"writer", b"both", b"root")
DENIED: Final = (7, "etcdserver: permission denied")
NO_USER: Final = (3, "etcdserver: user name is empty")
NO_TOKEN: Final = (16, "etcdserver: invalid auth token")
NO_LOG_IN: Final = {b"": NO_USER, b"stranger": NO_TOKEN, b"expired": NO_TOKEN}
NOT_ROOT: Final = {**NO_LOG_IN, **dict.fromkeys((b"without", b"reader", b"writer", b"both"), DENIED)}
NOT_READER: Final = {**NO_LOG_IN, b"without": DENIED, b"writer": DENIED}
# What was put right after 3.5.1 (CVE-2023-32082, CVE-2026-33343, CVE-2026-33413, CVE-2026-44283): row -> who gets what.
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
    "txn with prev_kv": NOT_ROOT | {b"both": (0, "")},
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


def ask_everything(server: RunningEtcd) -> dict[tuple[str, bytes], tuple[int, str]]:
    player = Player(server.endpoint)
    set_up(player)
    seen = {}
    for name, method, request in ROWS:
        for caller in CALLERS:
            answer = player.play(Step(caller, method, request))
            seen[name, caller] = answer.code, answer.text
            if name.startswith("revoke of others") and not answer.code:
                break  # the lease is gone
    player.close()
    return seen


def test_the_matrix(tmp_path: Path) -> None:
    seen = run_on_both(tmp_path, ask_everything, flags=CHEAP)
    differences = [
        f"{name}, {caller!r}: real {theirs}, ours {seen.ours.get((name, caller))}"
        for (name, caller), theirs in seen.theirs.items()
        if seen.ours.get((name, caller)) != FIXED_SINCE.get(name, {}).get(caller, theirs)
    ]
    assert not differences, "\n".join(differences)


# -- JSON Web Tokens


def test_each_believes_the_other_s_tokens(tmp_path: Path) -> None:
    """Same keys, same users: a token is good at both, until users change."""
    key = rsa.generate_private_key(65537, 2048)
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    flags = (*CHEAP, f"--auth-token=jwt,pub-key={public},priv-key={private},sign-method=RS256,ttl=10m")
    with (
        start_reference_etcd(tmp_path, name="real", flags=flags) as real,
        start_reference_etcd(tmp_path, name="ours", flags=flags, binary=ours_binary("etcd")) as ours,
    ):
        players = Player(real.endpoint), Player(ours.endpoint)
        for player in players:
            player.is_simple = False
            set_up(player)
        for player, other in (players, players[::-1]):
            for user in (b"reader", b"root"):
                player.log_in(user)
                other.tokens[user] = player.tokens[user]
                seen = [one.play(Step(user, "KV/Put", put(b"x"))) for one in (player, other)]
                expected = (0, "") if user == b"root" else DENIED
                assert [(answer.code, answer.text) for answer in seen] == [expected] * 2
        add = Step(b"root", "Auth/RoleAdd", pb.AuthRoleAddRequest(name=b"another"))
        assert [player.play(add).code for player in players] == [0, 0]
        # 3.5.1 forgot to translate that one.
        assert players[0].play(Step(b"root", "KV/Put", put(b"x")))[:2] == (2, "auth: revision in header is old")
        old = (3, "etcdserver: revision of auth store is old")
        assert players[1].play(Step(b"root", "KV/Put", put(b"x")))[:2] == old
        assert players[1].play(Step(b"root", "KV/Range", get(b"x")))[:2] == old
        for player in players:
            player.close()
