"""Leases where they are not kept: a member that does not lead asks the one that does, at its peer port.

    POST /leases            LeaseKeepAliveRequest -> LeaseKeepAliveResponse
    POST /leases/internal   LeaseInternalRequest  -> LeaseInternalResponse
    200, 404 the lease is not there, 408 the leader has not applied enough yet; anything else: it does not lead

Who cannot be asked, or does not lead any more, is asked again or its successor is, until the request's time is over.
Both requests may be repeated without harm.

Source: facts 4.2. Upstream: EtcdServer.LeaseRenew, lease/leasehttp.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from google.protobuf.message import DecodeError

from etcdpy.base.errors import EtcdError, LeaseNotFound, NoLeader, Timeout
from etcdpy.pb import lease_pb2, rpc_pb2
from etcdpy.server.leader_view import LeaderView, PeerFetch

LEASES_PATH: Final = "/leases"
LEASES_INTERNAL_PATH: Final = "/leases/internal"
LEASE_NOT_FOUND_TEXT: Final = b"lease not found"
# Upstream's pause after an attempt that failed.
RETRY_SECONDS: Final = 0.05
# A lease with a million keys of a hundred bytes; the answer names them all.
ANSWER_BYTES_MAX: Final = 100 * 1024 * 1024
# Requests on their way to the leader; more wait here. Each is a connection and less than a millisecond of the leader's.
REQUESTS_AT_ONCE_MAX: Final = 64

T = TypeVar("T")


class LeaderIsHere(Exception):
    """While we looked for the leader we became it."""


class LeaseForwarding:
    """What a follower asks the leader about leases."""

    def __init__(
        self, view: LeaderView, fetch: PeerFetch, *, clock: Callable[[], float], timeout_seconds: float
    ) -> None:
        self._view = view
        self._fetch = fetch
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE_MAX)

    async def renew(self, lease_id: int) -> int:
        """Return the TTL that the leader gave the lease. Raise LeaseNotFound, NoLeader, Timeout or LeaderIsHere."""
        body = rpc_pb2.LeaseKeepAliveRequest(ID=lease_id).SerializeToString()

        def read(answer: bytes) -> int | None:
            response = rpc_pb2.LeaseKeepAliveResponse.FromString(answer)
            return response.TTL if response.ID == lease_id else None

        return await self._ask(LEASES_PATH, body, read)

    async def time_to_live(self, request: rpc_pb2.LeaseTimeToLiveRequest) -> rpc_pb2.LeaseTimeToLiveResponse:
        """Return what the leader says of a lease. Raise as `renew`."""
        wrapped = lease_pb2.LeaseInternalRequest(LeaseTimeToLiveRequest=request)

        def read(answer: bytes) -> rpc_pb2.LeaseTimeToLiveResponse | None:
            response = lease_pb2.LeaseInternalResponse.FromString(answer).LeaseTimeToLiveResponse
            response.ClearField("header")
            return response if response.ID == request.ID else None

        return await self._ask(LEASES_INTERNAL_PATH, wrapped.SerializeToString(), read)

    async def _ask(self, path: str, body: bytes, read: Callable[[bytes], T | None]) -> T:
        deadline = self._clock() + self._timeout_seconds
        error: EtcdError = NoLeader()
        async with self._slots:
            while (left := deadline - self._clock()) > 0:
                if self._view.is_leader:
                    raise LeaderIsHere
                urls = self._view.leader_peer_urls()
                if urls:
                    error = Timeout()
                for url in urls:
                    result = await self._try(url + path, body, read, max(0.0, left))
                    if result is not None:
                        return result
                    left = deadline - self._clock()
                await asyncio.sleep(RETRY_SECONDS)
        raise error

    async def _try(self, url: str, body: bytes, read: Callable[[bytes], T | None], timeout_seconds: float) -> T | None:
        """Ask once. Return None where another attempt may do better."""
        try:
            answer = await self._fetch(
                url,
                method="POST",
                body=body,
                headers={"Content-Type": "application/protobuf"},
                timeout_seconds=timeout_seconds,
                body_bytes_max=ANSWER_BYTES_MAX,
            )
        except OSError:
            return None
        # The text too: whoever else answers 404 there, a proxy say, knows nothing of leases.
        if answer.status == 404 and LEASE_NOT_FOUND_TEXT in answer.body:
            raise LeaseNotFound
        if answer.status != 200:
            return None
        try:
            return read(answer.body)
        except DecodeError:
            return None
