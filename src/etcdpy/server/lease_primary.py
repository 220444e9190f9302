"""Leases where they are kept: on the leader. What its own clients and the other members ask of it.

    certain that we lead (server.mandate)  >  everything committed is applied  >  the lessor answers

Both hold nearly always, and then the answer comes at once; otherwise it is waited for, shortly.

Upstream: EtcdServer.LeaseRenew, EtcdServer.leaseTimeToLive, lease/leasehttp.
"""

from __future__ import annotations

from collections.abc import Callable

from etcdpy.base.errors import LeaseNotFound
from etcdpy.pb import rpc_pb2
from etcdpy.server.catching_up import CatchingUp
from etcdpy.server.mandate import Mandate
from etcdpy.state.lease.lessor import Lessor, NotPrimary

# What TimeToLive says of a lease that is not there.
TTL_OF_NONE = -1


class LeasePrimary:
    """Renews and describes leases on a member that leads; on any other it raises NotPrimary."""

    def __init__(self, lessor: Lessor, mandate: Mandate, catching_up: CatchingUp, clock: Callable[[], float]) -> None:
        self._lessor = lessor
        self._mandate = mandate
        self._catching_up = catching_up
        self._clock = clock

    def can_answer_now(self) -> bool:
        """Return whether `renew_now` may be asked."""
        return self._catching_up.is_done and self._mandate.is_certain()

    def renew_now(self, lease_id: int) -> int:
        """Renew a lease and return its TTL. Raise LeaseNotFound or NotPrimary."""
        return self._lessor.renew(lease_id, self._clock())

    async def renew(self, lease_id: int) -> int:
        """Renew a lease as soon as that is safe. Raise LeaseNotFound, NotPrimary or TimeoutWaitAppliedIndex."""
        await self._wait_ready()
        return self.renew_now(lease_id)

    async def time_to_live(self, request: rpc_pb2.LeaseTimeToLiveRequest) -> rpc_pb2.LeaseTimeToLiveResponse:
        """Describe a lease; the header is the caller's. Raise as `renew`."""
        await self._wait_ready()
        answer = self._lessor.time_to_live(request, self._clock())
        response = rpc_pb2.LeaseTimeToLiveResponse.FromString(answer.body)
        if response.TTL == TTL_OF_NONE and not response.grantedTTL:
            raise LeaseNotFound
        return response

    async def _wait_ready(self) -> None:
        if not await self._mandate.wait_certain():
            raise NotPrimary
        await self._catching_up.wait()
