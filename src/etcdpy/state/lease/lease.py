"""One lease, and its record in the backend's lease bucket (facts 6.5).

key: lease id, u64 big-endian    value: leasepb.Lease{ID, TTL, RemainingTTL}
"""

from __future__ import annotations

import math
from typing import Final

from etcdpy.pb import lease_pb2

# The deadline of a lease on a member that does not lead: leases end by the leader's clock only.
NEVER: Final = math.inf


class Lease:
    """A promise to delete `keys` when nobody renewed the lease for `ttl` seconds."""

    __slots__ = ("lease_id", "ttl", "remaining_ttl", "deadline", "checkpoint_at", "keys")

    def __init__(self, lease_id: int, ttl: int, remaining_ttl: int = 0) -> None:
        self.lease_id = lease_id
        self.ttl = ttl
        self.remaining_ttl = remaining_ttl  # As of the last checkpoint; 0: none since the lease was last renewed.
        self.deadline = NEVER  # By the clock of this member; leader only.
        self.checkpoint_at = NEVER  # When what it has left is to be noted; leader only.
        self.keys: set[bytes] = set()

    @property
    def effective_ttl(self) -> int:
        """What the lease has left, as far as the log knows."""
        return self.remaining_ttl if self.remaining_ttl > 0 else self.ttl

    def encode(self) -> bytes:
        record = lease_pb2.Lease(ID=self.lease_id, TTL=self.ttl, RemainingTTL=self.remaining_ttl)
        return record.SerializeToString()


def encode_lease_key(lease_id: int) -> bytes:
    """Return the id as a key of the lease bucket; ids are int64 and may be negative."""
    return (lease_id & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "big")


def decode_lease(value: bytes) -> Lease:
    record = lease_pb2.Lease.FromString(value)
    return Lease(record.ID, record.TTL, record.RemainingTTL)
