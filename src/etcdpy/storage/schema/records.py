"""Keys and values of the small buckets: lease, alarm, members, members_removed, cluster.

lease             lease id, u64 big-endian -> leasepb.Lease
alarm             AlarmMember -> nothing
members           member id, lower hex -> JSON of the member
members_removed   member id, lower hex -> "removed"
cluster           clusterVersion -> text like 3.5.0; downgrade -> JSON
"""

from __future__ import annotations

import json
from typing import Final

from etcdpy.base.invariant import StorageError
from etcdpy.pb.lease_pb2 import Lease
from etcdpy.pb.rpc_pb2 import AlarmMember

CLUSTER_VERSION: Final = b"clusterVersion"
DOWNGRADE: Final = b"downgrade"
REMOVED: Final = b"removed"

_U64: Final = (1 << 64) - 1
_SIGN: Final = 1 << 63


def encode_lease_id(lease_id: int) -> bytes:
    """Return the key of a lease; ids are int64, stored as their bits."""
    return (lease_id & _U64).to_bytes(8, "big")


def decode_lease_id(key: bytes) -> int:
    """Return the id that `encode_lease_id` was given."""
    if len(key) != 8:
        raise StorageError(f"a lease's key has {len(key)} bytes instead of 8")
    bits = int.from_bytes(key, "big")
    return bits - (1 << 64) if bits & _SIGN else bits


def encode_lease(*, lease_id: int, ttl_seconds: int, remaining_ttl_seconds: int = 0) -> bytes:
    """Return the stored form of a lease; remaining 0 means that nothing was checkpointed."""
    lease = Lease(ID=lease_id, TTL=ttl_seconds, RemainingTTL=remaining_ttl_seconds)
    return lease.SerializeToString()


def decode_lease(value: bytes) -> Lease:
    """Return a stored lease."""
    try:
        return Lease.FromString(value)
    except Exception as error:
        raise StorageError(f"a stored lease is not readable: {error}") from error


def encode_alarm(*, member_id: int, alarm: int) -> bytes:
    """Return the key of an alarm; it is all there is, the value is empty."""
    return AlarmMember(memberID=member_id, alarm=alarm).SerializeToString()  # type: ignore[arg-type]


def decode_alarm(key: bytes) -> AlarmMember:
    """Return a stored alarm."""
    try:
        return AlarmMember.FromString(key)
    except Exception as error:
        raise StorageError(f"a stored alarm is not readable: {error}") from error


def encode_member_id(member_id: int) -> bytes:
    """Return the key of a member in `members` and `members_removed`."""
    return b"%x" % member_id


def decode_member_id(key: bytes) -> int:
    """Return the id that `encode_member_id` was given."""
    try:
        return int(key, 16)
    except ValueError as error:
        raise StorageError(f"not the key of a member: {key!r}") from error


def encode_downgrade(*, target_version: str, enabled: bool) -> bytes:
    """Return the value of `downgrade`, as Go's JSON."""
    return json.dumps({"target-version": target_version, "enabled": enabled}, separators=(",", ":")).encode()
