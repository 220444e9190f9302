"""Every error that one member's calls can produce, forced on purpose: code and text as the real etcd 3.5.1 has them.

Not here, because one healthy member cannot be made to say them: no leader, not leader, leader changed, timeouts, too
many requests, server stopped, learner and member errors (they need a cluster), auth errors (no auth yet). NOSPACE by a
full database is in tests/e2e/test_quota_and_alarms.py, errors of watches in test_watch_real.py.
"""

from __future__ import annotations

import bisect
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from etcdpy.base.errors import (
    DEADLINE_EXCEEDED,
    INVALID_ARGUMENT,
    RESOURCE_EXHAUSTED,
    EtcdError,
)
from etcdpy.client.request import operation
from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Both, Client, path_of, run_on_both
from tests.ours import ours_binary
from tests.reference import RunningEtcd, start_reference_etcd

pytestmark = pytest.mark.slow

Status = tuple[int, str]
REQUEST_BYTES_MAX: Final = 1_572_864
MESSAGE_BYTES_MAX: Final = REQUEST_BYTES_MAX + 512 * 1024
TXN_OPS_MAX: Final = 128
# How long a server may take to close; only one that does not close at all makes a test wait for it.
NOISE_SECONDS_MAX: Final = 5.0


class Case(NamedTuple):
    """One call that should fail, or shows where failing ends."""

    name: str
    method: str
    request: Any


def put(key: bytes = b"k", **fields: Any) -> pb.PutRequest:
    return pb.PutRequest(key=key, **fields)


def op(request: Any = None) -> pb.RequestOp:
    return operation(request) if request is not None else pb.RequestOp()


def txn(*success: Any, failure: tuple[Any, ...] = (), compare: tuple[pb.Compare, ...] = ()) -> pb.TxnRequest:
    return pb.TxnRequest(
        compare=compare, success=[op(request) for request in success], failure=[op(request) for request in failure]
    )


def many(count: int) -> tuple[pb.PutRequest, ...]:
    return tuple(put(b"many-%d" % number) for number in range(count))


def delete(key: bytes, range_end: bytes = b"") -> pb.DeleteRangeRequest:
    return pb.DeleteRangeRequest(key=key, range_end=range_end)


def get(key: bytes, **fields: Any) -> pb.RangeRequest:
    return pb.RangeRequest(key=key, **fields)


def deep(levels: int) -> pb.TxnRequest:
    request = txn(put(b"deep"))
    for _ in range(levels):
        request = txn(request)
    return request


TOO_MANY_COMPARES: Final = tuple(pb.Compare(key=b"c%d" % number) for number in range(TXN_OPS_MAX + 1))
# The server has the keys k1 to k9 at revisions 2 to 10 and is compacted at 5; lease 7 exists.
KV_CASES: Final = [
    Case("range: no key", "KV/Range", get(b"")),
    Case("range: no key, but an end", "KV/Range", get(b"", range_end=b"z")),
    Case("range: future", "KV/Range", get(b"k1", revision=1000)),
    Case("range: compacted", "KV/Range", get(b"k1", revision=4)),
    Case("range: at the compacted revision", "KV/Range", get(b"k1", revision=5)),
    Case("range: serializable and compacted", "KV/Range", get(b"k1", revision=4, serializable=True)),
    Case("range: negative revision", "KV/Range", get(b"k1", revision=-7)),
    Case("range: compacted, counted only", "KV/Range", get(b"k", range_end=b"\0", revision=1, count_only=True)),
    Case("put: no key", "KV/Put", put(b"", value=b"v")),
    Case("put: ignore_value with a value", "KV/Put", put(value=b"v", ignore_value=True)),
    Case("put: ignore_lease with a lease", "KV/Put", put(lease=7, ignore_lease=True)),
    Case("put: both ignored, both given", "KV/Put", put(value=b"v", lease=7, ignore_value=True, ignore_lease=True)),
    Case("put: ignore_value of no key", "KV/Put", put(b"none", ignore_value=True)),
    Case("put: ignore_lease of no key", "KV/Put", put(b"none", ignore_lease=True)),
    Case("put: unknown lease", "KV/Put", put(lease=99)),
    Case("put: unknown lease and no key", "KV/Put", put(b"", lease=99)),
    Case("put: negative lease", "KV/Put", put(lease=-1)),
    Case("put: ignore_value with an unknown lease", "KV/Put", put(b"k1", ignore_value=True, lease=99)),
    Case("delete: no key", "KV/DeleteRange", delete(b"")),
    Case("delete: no key, but an end", "KV/DeleteRange", delete(b"", b"\0")),
    Case("compact: future", "KV/Compact", pb.CompactionRequest(revision=1000)),
    Case("compact: done already", "KV/Compact", pb.CompactionRequest(revision=5)),
    Case("compact: older", "KV/Compact", pb.CompactionRequest(revision=2, physical=True)),
    Case("compact: zero", "KV/Compact", pb.CompactionRequest()),
    Case("compact: negative", "KV/Compact", pb.CompactionRequest(revision=-3)),
]
TXN_CASES: Final = [
    Case("txn: most operations", "KV/Txn", txn(*many(TXN_OPS_MAX))),
    Case("txn: one operation too many", "KV/Txn", txn(*many(TXN_OPS_MAX + 1))),
    Case("txn: too many in the other branch", "KV/Txn", txn(failure=many(TXN_OPS_MAX + 1))),
    Case("txn: too many compares", "KV/Txn", txn(compare=TOO_MANY_COMPARES)),
    Case("txn: nested fit", "KV/Txn", txn(put(), txn(*many(TXN_OPS_MAX - 2)))),
    Case("txn: nested too many", "KV/Txn", txn(put(), txn(*many(TXN_OPS_MAX - 1)))),
    Case("txn: duplicate put", "KV/Txn", txn(put(), put())),
    Case("txn: put in both branches", "KV/Txn", txn(put(), failure=(put(),))),
    Case("txn: put where it deletes", "KV/Txn", txn(put(), delete(b"k"))),
    Case("txn: put in a deleted range", "KV/Txn", txn(delete(b"a", b"z"), put())),
    Case("txn: put from a key on", "KV/Txn", txn(delete(b"a", b"\0"), put())),
    Case("txn: deletes overlap", "KV/Txn", txn(delete(b"a", b"z"), delete(b"b", b"c"))),
    Case("txn: duplicate in a nested one", "KV/Txn", txn(put(), txn(put()))),
    Case("txn: duplicate in exclusive nested branches", "KV/Txn", txn(txn(put(), failure=(put(),)))),
    Case("txn: nested deletes what the outer puts", "KV/Txn", txn(put(), txn(delete(b"k")))),
    Case("txn: duplicate in the branch not taken", "KV/Txn", txn(failure=(put(), put()))),
    Case("txn: empty operation", "KV/Txn", txn(None)),
    Case("txn: empty operation in a nested one", "KV/Txn", txn(txn(None))),
    Case("txn: compare without a key", "KV/Txn", txn(compare=(pb.Compare(),))),
    Case("txn: put without a key", "KV/Txn", txn(put(b""))),
    Case("txn: range without a key", "KV/Txn", txn(get(b""))),
    Case("txn: delete without a key", "KV/Txn", txn(delete(b""))),
    Case("txn: nested put without a key", "KV/Txn", txn(txn(put(b"")))),
    Case("txn: value provided", "KV/Txn", txn(put(value=b"v", ignore_value=True))),
    Case("txn: lease provided", "KV/Txn", txn(put(lease=7, ignore_lease=True))),
    Case("txn: ignore_value of no key", "KV/Txn", txn(put(b"none", ignore_value=True))),
    Case("txn: unknown lease", "KV/Txn", txn(put(lease=99))),
    Case("txn: unknown lease in the branch not taken", "KV/Txn", txn(failure=(put(lease=99),))),
    Case("txn: compacted range", "KV/Txn", txn(get(b"k1", revision=4))),
    Case("txn: future range", "KV/Txn", txn(get(b"k1", revision=1000))),
    Case("txn: compacted range beside a put", "KV/Txn", txn(put(b"x"), get(b"k1", revision=4))),
    Case("txn: future range beside a put", "KV/Txn", txn(put(b"x"), get(b"k1", revision=1000))),
    Case("txn: range of its own revision", "KV/Txn", txn(put(b"x"), get(b"x", revision=12))),
    Case("txn: nothing at all", "KV/Txn", txn()),
    Case("txn: 100 levels", "KV/Txn", deep(100)),
]
OTHER_CASES: Final = [
    Case("grant: exists", "Lease/LeaseGrant", pb.LeaseGrantRequest(ID=7, TTL=600)),
    Case("grant: too long", "Lease/LeaseGrant", pb.LeaseGrantRequest(ID=8, TTL=9_000_000_001)),
    Case("grant: longest", "Lease/LeaseGrant", pb.LeaseGrantRequest(ID=9, TTL=9_000_000_000)),
    Case("grant: exists and too long", "Lease/LeaseGrant", pb.LeaseGrantRequest(ID=7, TTL=9_000_000_001)),
    Case("revoke: unknown", "Lease/LeaseRevoke", pb.LeaseRevokeRequest(ID=99)),
    Case("revoke: none", "Lease/LeaseRevoke", pb.LeaseRevokeRequest()),
    Case("time to live: unknown", "Lease/LeaseTimeToLive", pb.LeaseTimeToLiveRequest(ID=99, keys=True)),
    Case("hashkv: future", "Maintenance/HashKV", pb.HashKVRequest(revision=1000)),
    Case("hashkv: compacted", "Maintenance/HashKV", pb.HashKVRequest(revision=3)),
    Case("hashkv: negative", "Maintenance/HashKV", pb.HashKVRequest(revision=-2)),
    Case("move leader: to nobody", "Maintenance/MoveLeader", pb.MoveLeaderRequest()),
    Case("move leader: to a stranger", "Maintenance/MoveLeader", pb.MoveLeaderRequest(targetID=1234)),
    Case("alarm: get an unknown kind", "Maintenance/Alarm", pb.AlarmRequest(action=0, alarm=9)),  # type: ignore[arg-type]
    Case("alarm: lower one that is not raised", "Maintenance/Alarm", pb.AlarmRequest(action=2, alarm=1)),  # type: ignore[arg-type]
]
RAISE_NOSPACE: Final = pb.AlarmRequest(action=pb.AlarmRequest.ACTIVATE, memberID=5, alarm=pb.NOSPACE)
RAISE_CORRUPT: Final = pb.AlarmRequest(action=pb.AlarmRequest.ACTIVATE, memberID=6, alarm=pb.CORRUPT)


def lower(alarm: pb.AlarmRequest) -> pb.AlarmRequest:
    request = pb.AlarmRequest()
    request.CopyFrom(alarm)
    request.action = pb.AlarmRequest.DEACTIVATE
    return request


def under_alarm(name: str, alarm: pb.AlarmRequest, lease_id: int) -> list[Case]:
    """What each kind of call says while `alarm` is raised, and that all is well afterwards."""
    return [
        Case(f"{name}: raise", "Maintenance/Alarm", alarm),
        Case(f"{name}: put", "KV/Put", put(b"a1")),
        Case(f"{name}: put without a key", "KV/Put", put(b"")),
        Case(f"{name}: txn with a put", "KV/Txn", txn(put(b"a1"))),
        Case(f"{name}: txn with a put in the other branch", "KV/Txn", txn(failure=(put(b"a1"),))),
        Case(f"{name}: txn with a nested put", "KV/Txn", txn(txn(put(b"a1")))),
        Case(f"{name}: txn with a delete", "KV/Txn", txn(delete(b"a1"))),
        Case(f"{name}: txn that reads", "KV/Txn", txn(get(b"k1"))),
        Case(f"{name}: range", "KV/Range", get(b"k1")),
        Case(f"{name}: serializable range", "KV/Range", get(b"k1", serializable=True)),
        Case(f"{name}: delete", "KV/DeleteRange", delete(b"a1")),
        Case(f"{name}: grant", "Lease/LeaseGrant", pb.LeaseGrantRequest(ID=lease_id, TTL=600)),
        Case(f"{name}: revoke", "Lease/LeaseRevoke", pb.LeaseRevokeRequest(ID=lease_id)),
        Case(f"{name}: time to live", "Lease/LeaseTimeToLive", pb.LeaseTimeToLiveRequest(ID=7)),
        Case(f"{name}: leases", "Lease/LeaseLeases", pb.LeaseLeasesRequest()),
        Case(f"{name}: compact", "KV/Compact", pb.CompactionRequest(revision=6)),
        Case(f"{name}: hash", "Maintenance/Hash", pb.HashRequest()),
        Case(f"{name}: hashkv", "Maintenance/HashKV", pb.HashKVRequest()),
        Case(f"{name}: status", "Maintenance/Status", pb.StatusRequest()),
        Case(f"{name}: members", "Cluster/MemberList", pb.MemberListRequest(linearizable=True)),
        Case(f"{name}: defragment", "Maintenance/Defragment", pb.DefragmentRequest()),
        Case(f"{name}: health", "/grpc.health.v1.Health/Check", pb.HashRequest()),
        Case(f"{name}: lower", "Maintenance/Alarm", lower(alarm)),
        Case(f"{name}: put afterwards", "KV/Put", put(b"a1")),
    ]


CASES: Final = [
    *KV_CASES,
    *TXN_CASES,
    *OTHER_CASES,
    *under_alarm("nospace", RAISE_NOSPACE, 21),
    *under_alarm("corrupt", RAISE_CORRUPT, 22),
]
WIRE: Final = [
    *("KV/Range", "KV/Put", "KV/DeleteRange", "KV/Txn", "KV/Compact"),
    *("Lease/LeaseGrant", "Lease/LeaseRevoke", "Lease/LeaseTimeToLive"),
    *("Maintenance/Alarm", "Maintenance/HashKV", "Cluster/MemberList"),
]
GARBAGE: Final = [b"\xff", b"\x0a\x05ab", b"\x08", b"\x0a\x02\x01", b"\x0b", b"\x00\x00", b"\x0a\xff\xff\xff\xff\x0f"]
UNKNOWN: Final = [
    "/etcdserverpb.KV/Nothing",
    "/etcdserverpb.Nothing/Put",
    "/nothing/at/all",
    "/onlyone",
    "/",
    "//",
    "/etcdserverpb.KV/",
    "/etcdserverpb.KV/put",
    "/v3lockpb.Lock/Nothing",
    "/grpc.health.v1.Health/Nothing",
]
# What later releases and we say, where 3.5.1 says something else.
FIXED_SINCE: Final[dict[str, Status]] = {
    # 3.5.1 counts what nested transactions put as nothing: a full database grew further by them.
    "nospace: txn with a nested put": (RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"),
}
# grpc-timeout: such as no client writes, and the longest.
TIMEOUTS: Final = [b"abc", b"", b"1", b"1x", b"123456789S", b"99999999H"]
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS: Final = bytes.fromhex("000000040000000000")
# Bytes that no client sends; after each the connection must be closed, and the member must live on.
NOISE: Final = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
    "a bad request line": b"GET\r\n\r\n",
    "half a preface": PREFACE[:14] + b"junk\r\n\r\n",
    "zeros after the preface": PREFACE + bytes(200),
    "no settings": PREFACE + bytes.fromhex("00000001050000000100"),
    "a frame of 16 MiB": PREFACE + SETTINGS + bytes.fromhex("ffffff000000000001"),
    "headers on stream 0": PREFACE + SETTINGS + bytes.fromhex("000001010500000000") + b"\x82",
    "broken header block": PREFACE + SETTINGS + bytes.fromhex("000003010500000001") + b"\xff\xff\xff",
    "a continuation of nothing": PREFACE + SETTINGS + bytes.fromhex("000000090400000001"),
    "settings of five bytes": PREFACE + bytes.fromhex("0000050400000000000000000000"),
    "a window update of zero": PREFACE + SETTINGS + bytes.fromhex("00000408000000000000000000"),
}


class Seen(NamedTuple):
    """What one server said to everything."""

    cases: list[Status]
    garbage: dict[str, Status]
    unknown: list[Status]
    largest: dict[str, int]
    at_the_limit: list[Status]
    timeouts: list[Status]
    closes: dict[str, bool]


def script(server: RunningEtcd) -> Seen:
    with Client(server.endpoint) as client:
        for number in range(1, 10):
            assert client.status("KV/Put", put(b"k%d" % number, value=b"v").SerializeToString()) == (0, "")
        assert client.status("KV/Compact", pb.CompactionRequest(revision=5, physical=True).SerializeToString())[0] == 0
        assert client.status("Lease/LeaseGrant", pb.LeaseGrantRequest(ID=7, TTL=600).SerializeToString())[0] == 0
        return Seen(
            cases=[client.status(case.method, case.request.SerializeToString()) for case in CASES],
            garbage={f"{method} {data!r}": client.status(method, data) for method in WIRE for data in GARBAGE},
            unknown=[client.status(path, b"") for path in UNKNOWN],
            largest={name: largest_accepted(client, method, make) for name, method, make in SIZED},
            at_the_limit=[client.status("KV/Put", padded(MESSAGE_BYTES_MAX + more)) for more in (0, 1, 1000)],
            timeouts=[status_with_timeout(client, value) for value in TIMEOUTS],
            closes={name: closes_after(server, noise) for name, noise in NOISE.items()},
        )


def status_with_timeout(client: Client, value: bytes) -> Status:
    try:
        client.channel.unary(path_of("KV/Range"), get(b"k1").SerializeToString(), None, ((b"grpc-timeout", value),))
    except EtcdError as error:
        return error.code, error.text
    return 0, ""


def closes_after(server: RunningEtcd, noise: bytes) -> bool:
    """Return whether the server ends a connection that says `noise`; the client keeps its end open."""
    host, _, port = server.endpoint.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=NOISE_SECONDS_MAX) as connection:
        try:
            connection.sendall(noise)
            while connection.recv(65536):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
    return True


def padded(size: int) -> bytes:
    """Return a put of exactly `size` bytes, around 2 MiB: key and value have a tag and a length of three bytes each."""
    message = put(b"k" * (size - (1 << 20) - 8), value=b"x" * (1 << 20)).SerializeToString()
    assert len(message) == size
    return message


SIZED: Final[list[tuple[str, str, Callable[[int], Any]]]] = [
    ("put", "KV/Put", lambda size: put(value=b"x" * size)),
    ("put of a long key", "KV/Put", lambda size: put(b"k" * size)),
    ("txn", "KV/Txn", lambda size: txn(put(value=b"x" * size))),
    ("txn that reads", "KV/Txn", lambda size: txn(get(b"x" * size))),
    ("delete", "KV/DeleteRange", lambda size: delete(b"x" * size)),
    ("range", "KV/Range", lambda size: get(b"x" * size)),
]


def largest_accepted(client: Client, method: str, make: Callable[[int], Any]) -> int:
    """Return the largest size within 64 bytes of the limit, or within gRPC's, that is not refused as too large."""
    sizes: list[int] = [*range(REQUEST_BYTES_MAX - 64, REQUEST_BYTES_MAX + 1), MESSAGE_BYTES_MAX - 64]

    def is_refused(size: int) -> bool:
        status = client.status(method, make(size).SerializeToString())
        assert status in ((0, ""), (INVALID_ARGUMENT, "etcdserver: request is too large"))
        return status != (0, "")

    first_refused: int = bisect.bisect_left(sizes, True, key=is_refused)
    return sizes[first_refused - 1]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Both[Seen]:
    return run_on_both(tmp_path_factory.mktemp("errors"), script)


def test_errors_have_the_same_code_and_text(seen: Both[Seen]) -> None:
    differences = [
        f"{case.name}: real {theirs}, ours {ours}"
        for case, theirs, ours in zip(CASES, seen.theirs.cases, seen.ours.cases, strict=True)
        if ours != FIXED_SINCE.get(case.name, theirs)
    ]
    assert not differences, "\n".join(differences)


def test_malformed_messages(seen: Both[Seen]) -> None:
    """Go's protobuf words a parse error in its own way: the code and the first words agree."""
    for name, theirs in seen.theirs.garbage.items():
        ours = seen.ours.garbage[name]
        assert ours[0] == theirs[0], (name, theirs, ours)
        assert ours[1][:32] == theirs[1][:32], (name, theirs, ours)


def test_unknown_methods_and_services(seen: Both[Seen]) -> None:
    for path, theirs, ours in zip(UNKNOWN, seen.theirs.unknown, seen.ours.unknown, strict=True):
        assert ours == theirs, path


def test_the_largest_request(seen: Both[Seen]) -> None:
    """The limit is on the entry that would be logged, request id and framing included, to the byte."""
    assert seen.ours.largest == seen.theirs.largest
    assert REQUEST_BYTES_MAX - 64 < seen.ours.largest["put"] < REQUEST_BYTES_MAX


def test_the_largest_message(seen: Both[Seen]) -> None:
    assert seen.ours.at_the_limit == seen.theirs.at_the_limit
    assert [code for code, _ in seen.ours.at_the_limit] == [INVALID_ARGUMENT, RESOURCE_EXHAUSTED, RESOURCE_EXHAUSTED]


def test_deadlines(seen: Both[Seen]) -> None:
    for value, theirs, ours in zip(TIMEOUTS, seen.theirs.timeouts, seen.ours.timeouts, strict=True):
        assert ours == theirs, value


def test_a_deadline_that_has_passed(tmp_path: Path) -> None:
    """The real one says Unknown or DeadlineExceeded, as it happens; the second is what clients expect."""
    with start_reference_etcd(tmp_path, binary=ours_binary("etcd")) as server, Client(server.endpoint) as client:
        assert status_with_timeout(client, b"1n") == (DEADLINE_EXCEEDED, "context deadline exceeded")
        assert status_with_timeout(client, b"10S") == (0, "")


def test_noise_closes_the_connection(seen: Both[Seen]) -> None:
    assert seen.ours.closes == seen.theirs.closes


def test_an_unknown_sort_target_is_refused(tmp_path: Path) -> None:
    """It ends the process of a 3.5.1; later ones refuse it. An unknown order sorts nothing."""
    refused = (INVALID_ARGUMENT, "etcdserver: invalid sort option")
    unknown = get(b"a", range_end=b"z", sort_target=9)
    with start_reference_etcd(tmp_path, binary=ours_binary("etcd")) as server, Client(server.endpoint) as client:
        assert client.status("KV/Range", unknown.SerializeToString()) == refused
        assert client.status("KV/Txn", txn(unknown).SerializeToString()) == refused
        assert client.status("KV/Txn", txn(txn(unknown)).SerializeToString()) == refused
        unknown_order = get(b"a", range_end=b"z", sort_order=-1)
        assert client.status("KV/Range", unknown_order.SerializeToString()) == (0, "")
