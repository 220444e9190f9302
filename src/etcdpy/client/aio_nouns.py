"""The nouns of the asynchronous client: as in `nouns`, each verb a coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from etcdpy.base.errors import UNAVAILABLE, EtcdError, LeaseNotFound
from etcdpy.client import errors, method
from etcdpy.client import request as build
from etcdpy.client.nouns import KEEP_ALIVES_PER_TTL, REOPEN_SECONDS, USE_DEFAULT
from etcdpy.pb import rpc_pb2 as rpc

if TYPE_CHECKING:
    from etcdpy.client.aio import AsyncClient


class Kv:
    """Keys and values."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def get(self, key: bytes, *, timeout: float | None = USE_DEFAULT, **options: Any) -> rpc.RangeResponse:
        """Read a key or a range; options: see `request.range_request`."""
        return await self._client.call(method.KV_RANGE, build.range_request(key, **options), timeout)

    async def get_stream(self, key: bytes, **options: Any) -> AsyncIterator[rpc.RangeResponse]:
        """Read a range in parts, which the member makes as they are taken (see `nouns.Kv.get_stream`)."""
        request = build.range_request(key, **options)
        try:
            stream = await self._client.open_stream(method.RANGE_STREAM_PATH, needs_leader=not request.serializable)
            try:
                await stream.write(request.SerializeToString())
                stream.finish_writing()
                while (message := await stream.read()) is not None:
                    yield rpc.RangeStreamResponse.FromString(message).range_response
            finally:
                stream.cancel()
        except EtcdError as error:
            raise errors.client_error(error) from None

    async def put(
        self, key: bytes, value: bytes = b"", *, timeout: float | None = USE_DEFAULT, **options: Any
    ) -> rpc.PutResponse:
        """Write a key; options: see `request.put_request`."""
        return await self._client.call(method.KV_PUT, build.put_request(key, value, **options), timeout)

    async def delete(
        self, key: bytes, *, timeout: float | None = USE_DEFAULT, **options: Any
    ) -> rpc.DeleteRangeResponse:
        """Delete a key or a range; options: see `request.delete_request`."""
        return await self._client.call(method.KV_DELETE_RANGE, build.delete_request(key, **options), timeout)

    async def txn(
        self,
        compares: Iterable[rpc.Compare] = (),
        success: Iterable[build.Operation] = (),
        failure: Iterable[build.Operation] = (),
        *,
        timeout: float | None = USE_DEFAULT,
    ) -> rpc.TxnResponse:
        """If all comparisons hold do `success`, else `failure`, as one step."""
        request = build.txn_request(compares, success, failure)
        target = method.KV_TXN_READ if build.is_read_only(request) else method.KV_TXN
        return await self._client.call(target, request, timeout)

    async def compact(
        self, revision: int, *, physical: bool = False, timeout: float | None = USE_DEFAULT
    ) -> rpc.CompactionResponse:
        """Forget the history before `revision`; with `physical`, wait until the space is free."""
        request = rpc.CompactionRequest(revision=revision, physical=physical)
        return await self._client.call(method.KV_COMPACT, request, timeout)


class Leases:
    """Leases: keys attached to one vanish with it."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def grant(
        self, ttl: int, lease_id: int = 0, *, timeout: float | None = USE_DEFAULT
    ) -> rpc.LeaseGrantResponse:
        return await self._client.call(method.LEASE_GRANT, rpc.LeaseGrantRequest(TTL=ttl, ID=lease_id), timeout)

    async def revoke(self, lease_id: int, *, timeout: float | None = USE_DEFAULT) -> rpc.LeaseRevokeResponse:
        return await self._client.call(method.LEASE_REVOKE, rpc.LeaseRevokeRequest(ID=lease_id), timeout)

    async def time_to_live(
        self, lease_id: int, *, keys: bool = False, timeout: float | None = USE_DEFAULT
    ) -> rpc.LeaseTimeToLiveResponse:
        """A lease that does not exist has a TTL of -1."""
        request = rpc.LeaseTimeToLiveRequest(ID=lease_id, keys=keys)
        return await self._client.call(method.LEASE_TIME_TO_LIVE, request, timeout)

    async def leases(self, *, timeout: float | None = USE_DEFAULT) -> rpc.LeaseLeasesResponse:
        return await self._client.call(method.LEASE_LEASES, rpc.LeaseLeasesRequest(), timeout)

    async def keep_alive_once(self, lease_id: int) -> rpc.LeaseKeepAliveResponse:
        """Renew a lease once. Raises LeaseNotFound when there is none."""
        async for answer in self._answers(lease_id, once=True):
            if answer.TTL <= 0:
                raise LeaseNotFound
            return answer
        raise EtcdError("the server ended the keep-alive stream without an answer", UNAVAILABLE)

    async def keep_alive(self, lease_id: int) -> AsyncIterator[rpc.LeaseKeepAliveResponse]:
        """Renew a lease for ever, a third of its TTL apart; yields each answer, ends when the lease is gone.

        The renewals happen while the caller iterates: a caller who is busy for longer than the TTL loses the lease.
        """
        while True:
            try:
                async for answer in self._answers(lease_id):
                    if answer.TTL <= 0:
                        return
                    yield answer
            except EtcdError as error:
                if error.code != UNAVAILABLE:
                    raise
            await asyncio.sleep(REOPEN_SECONDS)

    async def _answers(self, lease_id: int, *, once: bool = False) -> AsyncIterator[rpc.LeaseKeepAliveResponse]:
        body = rpc.LeaseKeepAliveRequest(ID=lease_id).SerializeToString()
        try:
            stream = await self._client.open_stream(method.LEASE_KEEP_ALIVE_PATH)
            try:
                while True:
                    await stream.write(body)
                    message = await stream.read()
                    if message is None:
                        return
                    answer = rpc.LeaseKeepAliveResponse.FromString(message)
                    yield answer
                    if once or answer.TTL <= 0:
                        return
                    await asyncio.sleep(answer.TTL / KEEP_ALIVES_PER_TTL)
            finally:
                stream.cancel()
        except EtcdError as error:
            raise errors.client_error(error) if error.code != UNAVAILABLE else error from None


class Cluster:
    """The roster of members."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def member_list(
        self, *, linearizable: bool = True, timeout: float | None = USE_DEFAULT
    ) -> rpc.MemberListResponse:
        request = rpc.MemberListRequest(linearizable=linearizable)
        return await self._client.call(method.CLUSTER_MEMBER_LIST, request, timeout)

    async def member_add(
        self, peer_urls: Iterable[str], *, is_learner: bool = False, timeout: float | None = USE_DEFAULT
    ) -> rpc.MemberAddResponse:
        """Make a member known, before it is started; a learner does not vote until it is promoted."""
        request = rpc.MemberAddRequest(peerURLs=peer_urls, isLearner=is_learner)
        return await self._client.call(method.CLUSTER_MEMBER_ADD, request, timeout)

    async def member_remove(self, member_id: int, *, timeout: float | None = USE_DEFAULT) -> rpc.MemberRemoveResponse:
        return await self._client.call(method.CLUSTER_MEMBER_REMOVE, rpc.MemberRemoveRequest(ID=member_id), timeout)

    async def member_update(
        self, member_id: int, peer_urls: Iterable[str], *, timeout: float | None = USE_DEFAULT
    ) -> rpc.MemberUpdateResponse:
        """Change where the other members reach it."""
        request = rpc.MemberUpdateRequest(ID=member_id, peerURLs=peer_urls)
        return await self._client.call(method.CLUSTER_MEMBER_UPDATE, request, timeout)

    async def member_promote(self, member_id: int, *, timeout: float | None = USE_DEFAULT) -> rpc.MemberPromoteResponse:
        """Let a learner vote. Refused until it has caught up with the leader."""
        return await self._client.call(method.CLUSTER_MEMBER_PROMOTE, rpc.MemberPromoteRequest(ID=member_id), timeout)


class Maintenance:
    """What an operator asks one member (the next endpoint in turn: give a client one endpoint to address it)."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def status(self, *, timeout: float | None = USE_DEFAULT) -> rpc.StatusResponse:
        return await self._client.call(method.MAINTENANCE_STATUS, rpc.StatusRequest(), timeout)

    async def hash_kv(self, revision: int = 0, *, timeout: float | None = USE_DEFAULT) -> rpc.HashKVResponse:
        return await self._client.call(method.MAINTENANCE_HASH_KV, rpc.HashKVRequest(revision=revision), timeout)

    async def defragment(self, *, timeout: float | None = USE_DEFAULT) -> rpc.DefragmentResponse:
        return await self._client.call(method.MAINTENANCE_DEFRAGMENT, rpc.DefragmentRequest(), timeout)

    async def move_leader(self, target_id: int, *, timeout: float | None = USE_DEFAULT) -> rpc.MoveLeaderResponse:
        request = rpc.MoveLeaderRequest(targetID=target_id)
        return await self._client.call(method.MAINTENANCE_MOVE_LEADER, request, timeout)

    async def downgrade(
        self, request: rpc.DowngradeRequest, *, timeout: float | None = USE_DEFAULT
    ) -> rpc.DowngradeResponse:
        """Ask whether the cluster may go back to the minor version before its own, allow it, or end that."""
        return await self._client.call(method.MAINTENANCE_DOWNGRADE, request, timeout)

    async def alarms(self, *, timeout: float | None = USE_DEFAULT) -> rpc.AlarmResponse:
        request = rpc.AlarmRequest(action=rpc.AlarmRequest.GET)
        return await self._client.call(method.MAINTENANCE_ALARM, request, timeout)

    async def disarm(
        self,
        member_id: int = 0,
        alarm: rpc.AlarmType.ValueType = rpc.NONE,
        *,
        timeout: float | None = USE_DEFAULT,
    ) -> rpc.AlarmResponse:
        """Disarm one alarm; without arguments all that are raised. Answers with what was disarmed."""
        if member_id or alarm:
            request = rpc.AlarmRequest(action=rpc.AlarmRequest.DEACTIVATE, memberID=member_id, alarm=alarm)
            return await self._client.call(method.MAINTENANCE_ALARM, request, timeout)
        disarmed = rpc.AlarmResponse()
        for raised in (await self.alarms(timeout=timeout)).alarms:
            answer = await self.disarm(raised.memberID, raised.alarm, timeout=timeout)
            disarmed.alarms.extend(answer.alarms)
        return disarmed

    async def snapshot(self) -> AsyncIterator[rpc.SnapshotResponse]:
        """Stream the member's database; the last bytes are the SHA-256 of the rest."""
        try:
            stream = await self._client.open_stream(method.SNAPSHOT_PATH)
            try:
                await stream.write(rpc.SnapshotRequest().SerializeToString())
                stream.finish_writing()
                while (message := await stream.read()) is not None:
                    yield rpc.SnapshotResponse.FromString(message)
            finally:
                stream.cancel()
        except EtcdError as error:
            raise errors.client_error(error) from None


class Auth:
    """Authentication. The client itself authenticates when it was given a user."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def authenticate(
        self, name: bytes, password: bytes, *, timeout: float | None = USE_DEFAULT
    ) -> rpc.AuthenticateResponse:
        request = rpc.AuthenticateRequest(name=name, password=password)
        return await self._client.call(method.AUTH_AUTHENTICATE, request, timeout)
