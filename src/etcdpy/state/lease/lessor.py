"""The lessor: which leases exist, which keys hang on them, and, on the leader, when they end.

    apply (every member, deterministic)      grant, revoke, checkpoint; attach and detach, called by the store
    lead  (the primary only, never written)  promote, renew, expired, due_checkpoints, time_to_live

Rules
  * A lease is revoked by an entry of the log, never by a clock: the leader's clock only decides what is proposed.
  * `tick(now)` brings the time; grants and promotions count from the last tick. Nothing that is written depends on it.
  * After a restart or a change of leader a lease gets its whole TTL again, and one election timeout more: it may live
    longer than promised, never shorter. With checkpoints it gets what the last one said it has left.
  * Keys hang on leases in memory only; a restored store tells of them again.

Upstream: lease/lessor.go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Final, Protocol

from etcdpy.base.errors import EtcdError, LeaseExist, LeaseNotFound, LeaseTTLTooLarge
from etcdpy.pb import rpc_pb2
from etcdpy.state.lease.expiry import ExpiryQueue, spread_deadlines
from etcdpy.state.lease.lease import NEVER, Lease, decode_lease, encode_lease_key
from etcdpy.state.mvcc.answer import Answer
from etcdpy.storage.backend.bucket_store import BucketStore
from etcdpy.storage.schema import buckets

NO_LEASE: Final = 0
# Upstream's MaxLeaseTTL; the exact refusal point is part of the API.
TTL_SECONDS_MAX: Final = 9_000_000_000
# Upstream's maxLeaseCheckpointBatchSize.
CHECKPOINTS_PER_BATCH_MAX: Final = 1000
# Upstream's leaseCheckpointInterval default.
CHECKPOINT_INTERVAL_SECONDS: Final = 300.0


class NotPrimary(EtcdError):
    """Only the leader's lessor knows time. Travels to the client with etcd's raw text."""

    text = "not a primary lessor"


class LeasedKeys(Protocol):
    """The store, as the lessor needs it."""

    current_revision: int

    def lease_attachments(self) -> list[tuple[int, bytes]]:
        """Return (lease id, key) of all keys that hang on a lease."""

    def delete_keys(self, keys: list[bytes], /) -> Answer:
        """Delete what exists of `keys`, in their order, in one revision."""


def minimum_ttl_seconds(election_timeout_seconds: float) -> int:
    """Return the shortest TTL that survives a change of leader."""
    return math.ceil(1.5 * election_timeout_seconds)


class Lessor:
    """All leases of the cluster, as this member knows them."""

    def __init__(
        self,
        backend: BucketStore,
        *,
        ttl_seconds_min: int,
        are_checkpoints_on: bool = False,
        are_checkpoints_persisted: bool = False,
        checkpoint_interval_seconds: float = CHECKPOINT_INTERVAL_SECONDS,
    ) -> None:
        self._backend = backend
        self._ttl_seconds_min = ttl_seconds_min
        self._are_checkpoints_on = are_checkpoints_on
        # Changes what apply writes: must be the same on all members, as upstream's feature flag.
        self.are_checkpoints_persisted = are_checkpoints_persisted
        self._checkpoint_interval_seconds = checkpoint_interval_seconds
        self._store: LeasedKeys | None = None
        self._now = 0.0
        self._is_primary = False
        self._leases: dict[int, Lease] = {}
        self._queue = ExpiryQueue()
        # (when, lease id). An entry counts only while the lease's own checkpoint_at says the same.
        self._checkpoint_heap: list[tuple[float, int]] = []
        self._checkpoint_resets: dict[int, None] = {}  # renewed leases whose checkpoint no longer holds
        self.granted_count = 0
        self.on_granted: Callable[[int], None] = _nobody_asks  # told of each granted time to live, in seconds
        self.revoked_count = 0
        self.renewed_count = 0
        self.recover(backend)

    def bind(self, store: LeasedKeys) -> None:
        """Give the lessor the store, restored by now, whose keys hang on its leases."""
        self._store = store
        for lease_id, key in store.lease_attachments():
            self.attach(lease_id, key)

    def recover(self, backend: BucketStore) -> None:
        """Read all leases of `backend`; the keys follow with `bind`, when the store is restored from it."""
        self._backend = backend
        self._leases = {}
        self.demote()
        for _, value in backend.scan(buckets.LEASE, b"", None):
            lease = decode_lease(value)
            lease.ttl = max(lease.ttl, self._ttl_seconds_min)
            self._leases[lease.lease_id] = lease

    def tick(self, now: float) -> None:
        """It is `now`, on a clock that never goes back."""
        self._now = now

    # -- what the store asks

    def exists(self, lease_id: int) -> bool:
        return lease_id in self._leases

    def attach(self, lease_id: int, key: bytes) -> None:
        lease = self._leases.get(lease_id)
        # Unknown only while a store is restored that was damaged; upstream logs it and goes on.
        if lease is not None:
            lease.keys.add(key)

    def detach(self, lease_id: int, key: bytes) -> None:
        lease = self._leases.get(lease_id)
        if lease is not None:
            lease.keys.discard(key)

    # -- apply

    def apply_grant(self, request: rpc_pb2.LeaseGrantRequest) -> Answer:
        """Make a lease; its id was chosen before the request was proposed."""
        lease = self.grant(request.ID, request.TTL)
        body = rpc_pb2.LeaseGrantResponse(ID=lease.lease_id, TTL=lease.ttl).SerializeToString()
        return Answer(self._revision(), body)

    def apply_revoke(self, request: rpc_pb2.LeaseRevokeRequest) -> Answer:
        """End a lease and delete its keys."""
        return Answer(self.revoke(request.ID), b"")

    def apply_checkpoint(self, request: rpc_pb2.LeaseCheckpointRequest) -> Answer:
        """Note what leases have left. Stops at the first that is gone, as upstream does."""
        for checkpoint in request.checkpoints:
            self.checkpoint(checkpoint.ID, checkpoint.remaining_TTL)
        return Answer(self._revision(), b"")

    def grant(self, lease_id: int, ttl: int) -> Lease:
        if lease_id == NO_LEASE:
            raise LeaseNotFound
        if ttl > TTL_SECONDS_MAX:
            raise LeaseTTLTooLarge
        if lease_id in self._leases:
            raise LeaseExist
        lease = Lease(lease_id, max(ttl, self._ttl_seconds_min))
        self._leases[lease_id] = lease
        self._backend.put(buckets.LEASE, encode_lease_key(lease_id), lease.encode())
        if self._is_primary:
            lease.deadline = self._now + lease.ttl
            self._queue.add(lease)
            self._schedule_checkpoint(lease, self._now)
        self.granted_count += 1
        self.on_granted(lease.ttl)
        return lease

    def revoke(self, lease_id: int) -> int:
        """End a lease; return the revision afterwards. Its keys go in one revision, in sorted order."""
        lease = self._leases.get(lease_id)
        if lease is None:
            raise LeaseNotFound
        revision = self._revision()
        if lease.keys:
            assert self._store is not None
            revision = self._store.delete_keys(sorted(lease.keys)).revision
        del self._leases[lease_id]
        self._backend.delete(buckets.LEASE, encode_lease_key(lease_id))
        self._checkpoint_resets.pop(lease_id, None)
        self.revoked_count += 1
        return revision

    def checkpoint(self, lease_id: int, remaining_ttl: int) -> None:
        lease = self._leases.get(lease_id)
        if lease is None:
            raise LeaseNotFound
        lease.remaining_ttl = remaining_ttl
        if self.are_checkpoints_persisted:
            self._backend.put(buckets.LEASE, encode_lease_key(lease_id), lease.encode())
        if self._is_primary:
            self._schedule_checkpoint(lease, self._now)

    # -- lead

    @property
    def is_primary(self) -> bool:
        return self._is_primary

    def promote(self, now: float, extend_seconds: float) -> None:
        """This member leads now: give every lease its time, and `extend_seconds` more."""
        self._is_primary = True
        self._now = now
        leases = list(self._leases.values())
        for lease in leases:
            lease.deadline = now + extend_seconds + lease.effective_ttl
        spread_deadlines(leases)
        self._queue.fill(leases)
        self._checkpoint_heap = []
        for lease in leases:
            self._schedule_checkpoint(lease, now)

    def demote(self) -> None:
        """Another member leads: no lease ends by our clock."""
        self._is_primary = False
        for lease in self._leases.values():
            lease.deadline = NEVER
        self._queue.clear()
        self._checkpoint_heap = []
        self._checkpoint_resets = {}

    def renew(self, lease_id: int, now: float) -> int:
        """Give a lease its whole TTL again and return that. Raise NotPrimary; LeaseNotFound also for an expired one."""
        if not self._is_primary:
            raise NotPrimary
        lease = self._leases.get(lease_id)
        if lease is None or lease.deadline <= now:
            # Upstream lets the client wait for the revoke that is under way, then says the same.
            raise LeaseNotFound
        if lease.remaining_ttl > 0:
            lease.remaining_ttl = 0
            lease.checkpoint_at = NEVER  # the entry that takes it back sets the next time
            self._checkpoint_resets[lease_id] = None
        lease.deadline = now + lease.ttl
        self.renewed_count += 1
        return lease.ttl

    def may_have_expired(self, now: float) -> bool:
        """Return False when `expired` certainly has nothing."""
        return self._queue.may_have_expired(now)

    def expired(self, now: float, limit: int) -> list[int]:
        """Return at most `limit` leases to propose a revoke for. What is not revoked comes again after 3 s."""
        return self._queue.take_expired(self._leases, now, limit)

    def due_checkpoints(self, now: float) -> list[tuple[int, int]]:
        """Return (lease id, remaining TTL) to propose as checkpoints, at most a batch; 0 takes one back."""
        due: list[tuple[int, int]] = []
        while self._checkpoint_resets and len(due) < CHECKPOINTS_PER_BATCH_MAX:
            lease_id = next(iter(self._checkpoint_resets))
            del self._checkpoint_resets[lease_id]
            due.append((lease_id, 0))
        heap = self._checkpoint_heap
        while heap and heap[0][0] <= now and len(due) < CHECKPOINTS_PER_BATCH_MAX:
            when, lease_id = heappop(heap)
            lease = self._leases.get(lease_id)
            if lease is None or lease.checkpoint_at != when or lease.deadline <= now:
                continue
            lease.checkpoint_at = NEVER
            remaining = math.ceil(lease.deadline - now)
            if remaining < lease.ttl:
                due.append((lease.lease_id, remaining))
            else:  # renewed this very moment: there is nothing to note, look again later
                self._schedule_checkpoint(lease, now)
        return due

    def _schedule_checkpoint(self, lease: Lease, now: float) -> None:
        if self._are_checkpoints_on and lease.effective_ttl > self._checkpoint_interval_seconds:
            lease.checkpoint_at = now + self._checkpoint_interval_seconds
            heappush(self._checkpoint_heap, (lease.checkpoint_at, lease.lease_id))

    # -- questions

    def time_to_live(self, request: rpc_pb2.LeaseTimeToLiveRequest, now: float) -> Answer:
        """Answer what a lease has left; a missing one has -1. Raise NotPrimary."""
        if not self._is_primary:
            raise NotPrimary
        lease = self._leases.get(request.ID)
        if lease is None:
            response = rpc_pb2.LeaseTimeToLiveResponse(ID=request.ID, TTL=-1)
        else:
            response = rpc_pb2.LeaseTimeToLiveResponse(
                ID=request.ID, TTL=int(lease.deadline - now), grantedTTL=lease.ttl
            )
            if request.keys:
                response.keys.extend(sorted(lease.keys))
        return Answer(self._revision(), response.SerializeToString())

    def leases(self) -> Answer:
        """Answer the ids of all leases, those that end first before the others."""
        by_deadline = sorted(self._leases.values(), key=lambda lease: lease.deadline)
        response = rpc_pb2.LeaseLeasesResponse()
        for lease in by_deadline:
            response.leases.add(ID=lease.lease_id)
        return Answer(self._revision(), response.SerializeToString())

    def keys_of(self, lease_id: int) -> list[bytes]:
        """Return the keys of a lease, sorted; none if it is not there."""
        lease = self._leases.get(lease_id)
        return sorted(lease.keys) if lease is not None else []

    def attachments(self) -> Iterator[tuple[int, bytes]]:
        """Yield (lease id, key) of all that hangs together, in no order."""
        for lease in self._leases.values():
            for key in lease.keys:
                yield lease.lease_id, key

    def __len__(self) -> int:
        return len(self._leases)

    def _revision(self) -> int:
        return self._store.current_revision if self._store is not None else 0

    def check_invariants(self) -> None:
        """For tests: what is in memory is what is in the backend."""
        stored = {value.lease_id: value for value in map(decode_lease, self._stored_values())}
        assert stored.keys() == self._leases.keys()
        for lease_id, lease in self._leases.items():
            assert stored[lease_id].ttl <= lease.ttl
            assert (lease.deadline == NEVER) == (not self._is_primary)

    def _stored_values(self) -> list[bytes]:
        return [value for _, value in self._backend.scan(buckets.LEASE, b"", None)]


def _nobody_asks(ttl: int) -> None:
    """Before the metrics are wired."""
