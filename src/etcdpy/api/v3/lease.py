"""The unary half of the Lease service; the keep-alive stream is in `lease_keepalive`.

Source: etcdserverpb.Lease.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from etcdpy.api.v3.dispatch import Dispatcher, caller_of, unary
from etcdpy.api.v3.header import HeaderEncoder
from etcdpy.base.errors import AuthOldRevision, LeaseNotFound
from etcdpy.base.ids import RequestIdGenerator
from etcdpy.pb import rpc_pb2
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.caller import NOBODY, Caller
from etcdpy.state.auth.checks import Permissions
from etcdpy.state.lease.lessor import Lessor
from etcdpy.transport.grpc.call import Call

_POSITIVE_INT64 = (1 << 63) - 1


class LeaseDescriber(Protocol):
    """Whoever asks the leader's lessor, wherever it is."""

    async def time_to_live(self, request: rpc_pb2.LeaseTimeToLiveRequest) -> rpc_pb2.LeaseTimeToLiveResponse:
        """Describe a lease, without a header. Raise LeaseNotFound, or EtcdError where no leader could be asked."""


class LeaseApi:
    """Handlers of LeaseGrant, LeaseRevoke, LeaseTimeToLive and LeaseLeases."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        header: HeaderEncoder,
        lessor: Lessor,
        request_ids: RequestIdGenerator,
        clock: Callable[[], float],
        describer: LeaseDescriber,
        permissions: Permissions,
    ) -> None:
        self._permissions = permissions
        self._dispatcher = dispatcher
        self._header = header
        self._lessor = lessor
        self._clock = clock
        self._describer = describer
        self._ids = request_ids
        self.grant = unary(rpc_pb2.LeaseGrantRequest.FromString, self._grant)
        self.revoke = unary(rpc_pb2.LeaseRevokeRequest.FromString, self._revoke)
        self.time_to_live = unary(rpc_pb2.LeaseTimeToLiveRequest.FromString, self._time_to_live)
        self.leases = unary(rpc_pb2.LeaseLeasesRequest.FromString, self._leases)

    def _grant(self, call: Call, request: rpc_pb2.LeaseGrantRequest) -> None:
        # The id is chosen before proposing: every member must grant the same one.
        while request.ID == 0:
            request.ID = self._ids.next_id() & _POSITIVE_INT64
        # A lease's time counts from now, not from the last tick: it may live longer than promised, never shorter.
        self._lessor.tick(self._clock())
        self._dispatcher.propose(call, kinds.LEASE_GRANT, request, request.SerializeToString())

    def _revoke(self, call: Call, request: rpc_pb2.LeaseRevokeRequest) -> None:
        self._dispatcher.propose(call, kinds.LEASE_REVOKE, request, call.message)

    def _time_to_live(self, call: Call, request: rpc_pb2.LeaseTimeToLiveRequest) -> None:
        self._dispatcher.answer_later(call, self._describe(request, caller_of(call) or NOBODY))

    async def _describe(self, request: rpc_pb2.LeaseTimeToLiveRequest, caller: Caller) -> bytes:
        revision = self._permissions.auth.revision
        if request.keys:
            self._permissions.check_lease_view(request.ID, caller)
        try:
            response = await self._describer.time_to_live(request)
        except LeaseNotFound:  # which is no error here
            response = rpc_pb2.LeaseTimeToLiveResponse(ID=request.ID, TTL=-1)
        if request.keys and self._permissions.auth.is_enabled and revision != self._permissions.auth.revision:
            raise AuthOldRevision  # what was permitted when we began may not be now
        return self._header.encode(0) + response.SerializeToString()

    def _leases(self, call: Call, request: rpc_pb2.LeaseLeasesRequest) -> None:
        self._permissions.check_lease_list(caller_of(call) or NOBODY)
        call.respond(self._header.complete(self._lessor.leases()))
