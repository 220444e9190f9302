"""When leases end and when they are checkpointed: the part of leases that only a leader has.

    ExpiryQueue    deadlines in a heap, one entry per lease; a renewed lease keeps its old entry, which is put
                   right when it comes to the top, so renewing costs no heap operation
    RevokePacer    how fast expired leases may be proposed for revocation

Upstream: lease.LeaseExpiredNotifier, lessor.revokeExpiredLeases, EtcdServer.revokeExpiredLeases.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final, Protocol

from etcdpy.state.lease.lease import Lease

# Upstream's leaseRevokeRate, looked at twice a second.
REVOKES_PER_SECOND_MAX: Final = 1000
CHECK_INTERVAL_SECONDS: Final = 0.5
REVOKES_PER_CHECK_MAX: Final = REVOKES_PER_SECOND_MAX // 2
# Upstream's maxPendingRevokes.
REVOKES_IN_FLIGHT_MAX: Final = 16
# A revoke that got lost is proposed again after this long (upstream: defaultExpiredleaseRetryInterval).
RETRY_SECONDS: Final = 3.0
# After a change of leader, deadlines are spread so that no more than this many come in any second.
DEADLINES_PER_SECOND_MAX: Final = REVOKES_PER_SECOND_MAX * 3 // 4


class ExpiryQueue:
    """Deadlines of all leases of a leader."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        # (when to look, lease id). Invariant: each lease with a finite deadline has an entry not later than that
        # deadline, or is waiting for its retry.
        self._heap: list[tuple[float, int]] = []

    def add(self, lease: Lease) -> None:
        heappush(self._heap, (lease.deadline, lease.lease_id))

    def fill(self, leases: list[Lease]) -> None:
        self._heap = [(lease.deadline, lease.lease_id) for lease in leases]
        heapify(self._heap)

    def clear(self) -> None:
        self._heap = []

    def may_have_expired(self, now: float) -> bool:
        """Return whether it is worth a look; a renewed lease may still stand there with its old deadline."""
        return bool(self._heap) and self._heap[0][0] <= now

    def take_expired(self, leases: Mapping[int, Lease], now: float, limit: int) -> list[int]:
        """Return the ids of at most `limit` leases whose time is up; those still there come again after a while."""
        heap = self._heap
        expired: list[int] = []
        while heap and heap[0][0] <= now and len(expired) < limit:
            lease = leases.get(heap[0][1])
            if lease is None:
                heappop(heap)
            elif lease.deadline > now:
                heapreplace(heap, (lease.deadline, lease.lease_id))
            else:
                heapreplace(heap, (now + RETRY_SECONDS, lease.lease_id))
                expired.append(lease.lease_id)
        return expired


def spread_deadlines(leases: list[Lease]) -> None:
    """Put off deadlines until no second holds more than may be revoked in it. No lease gets less than it had."""
    if len(leases) <= DEADLINES_PER_SECOND_MAX:
        return
    leases.sort(key=lambda lease: lease.deadline)
    for index in range(DEADLINES_PER_SECOND_MAX, len(leases)):
        earliest = leases[index - DEADLINES_PER_SECOND_MAX].deadline + 1.0
        if leases[index].deadline < earliest:
            leases[index].deadline = earliest


class ExpirySource(Protocol):
    """The lessor, as the pacer sees it."""

    @property
    def is_primary(self) -> bool: ...
    def may_have_expired(self, now: float) -> bool: ...
    def expired(self, now: float, limit: int) -> list[int]: ...


class RevokePacer:
    """Turns expired leases into revokes to propose, at etcd's pace.

    `take_due(now)` whenever time passed or a revoke ended; `finish(lease_id)` when a proposed one was answered,
    whatever the answer.
    """

    def __init__(self, source: ExpirySource) -> None:
        self._source = source
        self._waiting: deque[int] = deque()
        self._in_flight: set[int] = set()  # Invariant: at most REVOKES_IN_FLIGHT_MAX.
        self._next_check = 0.0

    def is_due(self, now: float) -> bool:
        """Return whether `take_due` may have something to propose."""
        if not self._source.is_primary:
            return False
        return bool(self._waiting) or (now >= self._next_check and self._source.may_have_expired(now))

    def take_due(self, now: float) -> list[int]:
        """Return the ids to propose a revoke for, now."""
        if not self._source.is_primary:
            self._waiting.clear()
            return []
        if now >= self._next_check and not self._waiting:
            self._next_check = now + CHECK_INTERVAL_SECONDS
            self._waiting.extend(self._source.expired(now, REVOKES_PER_CHECK_MAX))
        due: list[int] = []
        while self._waiting and len(self._in_flight) < REVOKES_IN_FLIGHT_MAX:
            lease_id = self._waiting.popleft()
            if lease_id not in self._in_flight:
                self._in_flight.add(lease_id)
                due.append(lease_id)
        return due

    def finish(self, lease_id: int) -> None:
        self._in_flight.discard(lease_id)
