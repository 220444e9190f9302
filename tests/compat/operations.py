"""Random requests, of the kinds and in the proportions that find differences: valid, odd, and wrong.

One seed gives one list of requests, whatever the server answers, so the same list can be sent to the real etcd and to
ours. Ids of leases are always given, never chosen by the server.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from etcdpy.pb import rpc_pb2 as pb

KEYS = [b"a", b"b", b"ab", b"abc", b"b/1", b"b/2", b"c", b"\x00", b"\xff", b"\xffz", b"key-" + b"k" * 300]
RANGE_ENDS = [b"", b"", b"\x00", b"b", b"c", b"b0", b"\xff", b"\xff\xff", b"a", b"zz"]
VALUES = [b"", b"1", b"2", b"v", b"\x00\xff", b"x" * 40, b"y" * 5000]
LEASES = [7, 8, 9, 1 << 40]
NESTING_MAX = 3


@dataclass(frozen=True)
class Operation:
    """One call. `sorts_unstably`: Go's sort is not stable, so equal elements may come in any order."""

    path: bytes
    message: bytes
    text: str
    sorts_unstably: bool = False


def generate(seed: int, count: int, *, compactions: bool = True) -> list[Operation]:
    """Return `count` operations of one seed."""
    maker = _Maker(random.Random(seed), compactions=compactions)
    return [maker.next_operation() for _ in range(count)]


class _Maker:
    def __init__(self, rng: random.Random, *, compactions: bool) -> None:
        self._rng = rng
        self._compactions = compactions
        self._writes = 1  # a guess of the server's revision: asks for past and future ones around it

    def next_operation(self) -> Operation:
        kinds: list[tuple[int, Any]] = [
            (30, self._put),
            (25, self._range),
            (10, self._delete),
            (22, self._txn),
            (2 if self._compactions else 0, self._compact),
            (4, self._grant),
            (2, self._revoke),
            (2, self._time_to_live),
            (1, self._leases),
            (2, self._hash_kv),
            (1, self._alarm),
            (1, self._member_list),
            (1, self._garbage),
        ]
        make = self._rng.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]
        operation: Operation = make()
        return operation

    def _chance(self, probability: float) -> bool:
        return self._rng.random() < probability

    def _key(self) -> bytes:
        return b"" if self._chance(0.02) else self._rng.choice(KEYS)

    def _revision(self) -> int:
        return self._rng.choice([0, 0, 0, 1, self._writes, self._writes // 2, self._writes * 9 // 10, -1, 10**9])

    # -- KV

    def put_request(self) -> pb.PutRequest:
        request = pb.PutRequest(key=self._key(), value=self._rng.choice(VALUES), prev_kv=self._chance(0.3))
        if self._chance(0.2):
            request.lease = self._rng.choice(LEASES + [12345])
        if self._chance(0.08):
            request.ignore_value = True
            if self._chance(0.7):
                request.value = b""
        if self._chance(0.08):
            request.ignore_lease = True
            if self._chance(0.7):
                request.lease = 0
        return request

    def range_request(self, *, in_txn: bool) -> tuple[pb.RangeRequest, bool]:
        rng = self._rng
        request = pb.RangeRequest(key=self._key(), range_end=rng.choice(RANGE_ENDS), serializable=self._chance(0.3))
        if self._chance(0.3):
            request.revision = rng.choice([0, 1, self._writes // 2, self._writes]) if in_txn else self._revision()
        request.keys_only = self._chance(0.15)
        request.count_only = self._chance(0.15)
        if self._chance(0.2):
            setattr(request, rng.choice(["min_mod_revision", "max_mod_revision"]), rng.randrange(self._writes + 5))
        if self._chance(0.2):
            setattr(
                request, rng.choice(["min_create_revision", "max_create_revision"]), rng.randrange(self._writes + 5)
            )
        unstable = False
        if self._chance(0.4):
            request.sort_order = rng.choice([0, 1, 2])  # type: ignore[assignment]
            request.sort_target = rng.choice([0, 0, 1, 2, 3, 4])  # type: ignore[assignment]
            unstable = request.sort_target != 0
        if self._chance(0.4) and not unstable:
            request.limit = rng.choice([1, 2, 3, 100, -1])
        return request, unstable

    def delete_request(self) -> pb.DeleteRangeRequest:
        end = self._rng.choice(RANGE_ENDS) if self._chance(0.4) else b""
        return pb.DeleteRangeRequest(key=self._key(), range_end=end, prev_kv=self._chance(0.4))

    def _put(self) -> Operation:
        self._writes += 1
        return _operation("KV/Put", self.put_request())

    def _range(self) -> Operation:
        request, unstable = self.range_request(in_txn=False)
        return _operation("KV/Range", request, unstable)

    def _delete(self) -> Operation:
        self._writes += 1
        return _operation("KV/DeleteRange", self.delete_request())

    def _compact(self) -> Operation:
        revision = self._revision() if self._chance(0.3) else max(1, self._writes - self._rng.randrange(60))
        return _operation("KV/Compact", pb.CompactionRequest(revision=revision, physical=True))

    # -- Txn

    def _txn(self) -> Operation:
        self._writes += 1
        if self._chance(0.02):
            return _operation("KV/Txn", self._too_many_ops())
        return _operation("KV/Txn", self.txn_request(0))

    def txn_request(self, depth: int) -> pb.TxnRequest:
        request = pb.TxnRequest()
        request.compare.extend(self._compare() for _ in range(self._rng.choice([0, 0, 1, 1, 2])))
        request.success.extend(self._op(depth) for _ in range(self._rng.choice([0, 1, 1, 2, 3])))
        request.failure.extend(self._op(depth) for _ in range(self._rng.choice([0, 1, 1, 2, 3])))
        return request

    def _too_many_ops(self) -> pb.TxnRequest:
        request = pb.TxnRequest()
        for number in range(self._rng.choice([128, 129])):
            request.success.add().request_put.key = b"many-%d" % number
        return request

    def _compare(self) -> pb.Compare:
        rng = self._rng
        compare = pb.Compare(key=self._key(), target=rng.randrange(5), result=rng.choice([0, 0, 1, 2, 3]))  # type: ignore[arg-type]
        if self._chance(0.9):
            if compare.target == pb.Compare.VALUE:
                compare.value = rng.choice(VALUES)
            else:
                field = ("version", "create_revision", "mod_revision", "", "lease")[compare.target]
                setattr(compare, field, rng.choice([0, 0, 1, 2, 7, rng.randrange(self._writes + 1)]))
        if self._chance(0.2):
            compare.range_end = rng.choice(RANGE_ENDS)
        return compare

    def _op(self, depth: int) -> pb.RequestOp:
        op = pb.RequestOp()
        choice = self._rng.randrange(20)
        if choice < 8:
            op.request_put.CopyFrom(self.put_request())
        elif choice < 12:
            request, unstable = self.range_request(in_txn=True)
            if unstable:
                request.sort_target = pb.RangeRequest.KEY
            op.request_range.CopyFrom(request)
        elif choice < 15:
            op.request_delete_range.CopyFrom(self.delete_request())
        elif choice < 19 and depth < NESTING_MAX:
            op.request_txn = self.txn_request(depth + 1).SerializeToString()
        return op

    # -- leases and the rest

    def _grant(self) -> Operation:
        # Short ones would expire at a moment of their own in each run: test_lease_real.py has those.
        ttl = self._rng.choice([600, 600, 700, 9_000_000_001])
        return _operation("Lease/LeaseGrant", pb.LeaseGrantRequest(ID=self._rng.choice(LEASES), TTL=ttl))

    def _revoke(self) -> Operation:
        self._writes += 1
        return _operation("Lease/LeaseRevoke", pb.LeaseRevokeRequest(ID=self._rng.choice(LEASES)))

    def _time_to_live(self) -> Operation:
        request = pb.LeaseTimeToLiveRequest(ID=self._rng.choice(LEASES), keys=self._chance(0.6))
        return _operation("Lease/LeaseTimeToLive", request)

    def _leases(self) -> Operation:
        return _operation("Lease/LeaseLeases", pb.LeaseLeasesRequest())

    def _hash_kv(self) -> Operation:
        return _operation("Maintenance/HashKV", pb.HashKVRequest(revision=self._revision()))

    def _alarm(self) -> Operation:
        return _operation("Maintenance/Alarm", pb.AlarmRequest())

    def _member_list(self) -> Operation:
        return _operation("Cluster/MemberList", pb.MemberListRequest(linearizable=self._chance(0.5)))

    def _garbage(self) -> Operation:
        path = self._rng.choice(["KV/Put", "KV/Txn", "KV/Range", "Lease/LeaseGrant"])
        message = self._rng.choice([b"\xff", b"\x0a\x05ab", b"\x08"])
        return Operation(_path(path), message, f"{path} garbage {message!r}")


def _path(name: str) -> bytes:
    return b"/etcdserverpb." + name.encode()


def _operation(name: str, request: Any, unstable: bool = False) -> Operation:
    return Operation(_path(name), request.SerializeToString(), f"{name} {str(request)[:2000]}", unstable)
