"""Renewing leases and asking what they have left, wherever the leader is: here, elsewhere, or just moving.

    renew(id, answer)   we lead, certainly   >  answered at once by the own lessor
                        otherwise            >  a task: here as soon as it is safe, or by the leader (lease_forwarding)

Implements `api.v3.lease_keepalive.Renewer`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from etcdpy.base.errors import EtcdError, LeaderChanged
from etcdpy.pb import rpc_pb2
from etcdpy.server.leader_view import LeaderView
from etcdpy.server.lease_forwarding import LeaderIsHere, LeaseForwarding
from etcdpy.server.lease_primary import LeasePrimary
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.lease.lessor import NotPrimary

# The leader moved here or away while we waited; who sees that so often in one request is told to try again.
TURNS_MAX: Final = 3

T = TypeVar("T")


class ForwardingRenewer:
    """Leases of the cluster, for this member's clients."""

    def __init__(self, view: LeaderView, primary: LeasePrimary, forwarding: LeaseForwarding, tasks: TaskOwner) -> None:
        self._view = view
        self._primary = primary
        self._forwarding = forwarding
        self._tasks = tasks

    def renew(self, lease_id: int, answer: Callable[[int | EtcdError], None]) -> None:
        """Renew a lease and call `answer`, now or later, with its TTL or with what speaks against it."""
        if self._view.is_leader and self._primary.can_answer_now():
            try:
                ttl = self._primary.renew_now(lease_id)
            except EtcdError as error:
                answer(error)
            else:
                answer(ttl)
        else:
            self._tasks.start(self._renew_later(lease_id, answer))

    async def _renew_later(self, lease_id: int, answer: Callable[[int | EtcdError], None]) -> None:
        try:
            ttl = await self._wherever(lambda: self._primary.renew(lease_id), lambda: self._forwarding.renew(lease_id))
        except EtcdError as error:
            answer(error)
        else:
            answer(ttl)

    async def time_to_live(self, request: rpc_pb2.LeaseTimeToLiveRequest) -> rpc_pb2.LeaseTimeToLiveResponse:
        """Describe a lease, without a header. Raise LeaseNotFound, or EtcdError where no leader could be asked."""
        return await self._wherever(
            lambda: self._primary.time_to_live(request), lambda: self._forwarding.time_to_live(request)
        )

    async def _wherever(self, here: Callable[[], Awaitable[T]], there: Callable[[], Awaitable[T]]) -> T:
        for _ in range(TURNS_MAX):
            try:
                return await (here() if self._view.is_leader else there())
            except LeaderIsHere:
                continue
            except NotPrimary:
                if self._view.is_leader:  # nobody confirms it: the client had better ask another member
                    raise
        raise LeaderChanged
