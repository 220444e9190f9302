"""The nouns of the synchronous client: kv, lease, cluster, maintenance, auth. Each verb builds one request and calls.

Keyword arguments are those of the builders in `request`. Every verb takes `timeout` in seconds: the client's own when
not given, None to wait for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from etcdpy.base.errors import UNAVAILABLE, EtcdError, LeaseNotFound
from etcdpy.client import errors, method
from etcdpy.client import request as build
from etcdpy.pb import rpc_pb2 as rpc

if TYPE_CHECKING:
    from etcdpy.client.client import Client

USE_DEFAULT: Final = -1.0
# A lease is renewed when a third of its time is gone: two attempts may fail before it is lost.
KEEP_ALIVES_PER_TTL: Final = 3
# How long keep_alive waits before it opens a new stream after it lost one.
REOPEN_SECONDS: Final = 0.5


class Kv:
    """Keys and values."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, key: bytes, *, timeout: float | None = USE_DEFAULT, **options: Any) -> rpc.RangeResponse:
        """Read a key or a range; options: see `request.range_request`."""
        return self._client.call(method.KV_RANGE, build.range_request(key, **options), timeout)

    def get_stream(self, key: bytes, **options: Any) -> Iterator[rpc.RangeResponse]:
        """Read a range in parts, which the member makes as they are taken: for ranges too large to hold.

        Merged they are the answer of `get`; header, more and count stand in the last. Options are those of `get`, but
        no sorting. Needs etcdpy or etcd 3.7; others answer UNIMPLEMENTED.
        """
        request = build.range_request(key, **options)
        try:
            with self._client.open_stream(method.RANGE_STREAM_PATH, needs_leader=not request.serializable) as stream:
                stream.write(request.SerializeToString())
                stream.finish_writing()
                while (message := stream.read()) is not None:
                    yield rpc.RangeStreamResponse.FromString(message).range_response
        except EtcdError as error:
            raise errors.client_error(error) from None

    def put(
        self, key: bytes, value: bytes = b"", *, timeout: float | None = USE_DEFAULT, **options: Any
    ) -> rpc.PutResponse:
        """Write a key; options: see `request.put_request`."""
        return self._client.call(method.KV_PUT, build.put_request(key, value, **options), timeout)

    def delete(self, key: bytes, *, timeout: float | None = USE_DEFAULT, **options: Any) -> rpc.DeleteRangeResponse:
        """Delete a key or a range; options: see `request.delete_request`."""
        return self._client.call(method.KV_DELETE_RANGE, build.delete_request(key, **options), timeout)

    def txn(
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
        return self._client.call(target, request, timeout)

    def compact(
        self, revision: int, *, physical: bool = False, timeout: float | None = USE_DEFAULT
    ) -> rpc.CompactionResponse:
        """Forget the history before `revision`; with `physical`, wait until the space is free."""
        request = rpc.CompactionRequest(revision=revision, physical=physical)
        return self._client.call(method.KV_COMPACT, request, timeout)


class Leases:
    """Leases: keys attached to one vanish with it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def grant(self, ttl: int, lease_id: int = 0, *, timeout: float | None = USE_DEFAULT) -> rpc.LeaseGrantResponse:
        return self._client.call(method.LEASE_GRANT, rpc.LeaseGrantRequest(TTL=ttl, ID=lease_id), timeout)

    def revoke(self, lease_id: int, *, timeout: float | None = USE_DEFAULT) -> rpc.LeaseRevokeResponse:
        return self._client.call(method.LEASE_REVOKE, rpc.LeaseRevokeRequest(ID=lease_id), timeout)

    def time_to_live(
        self, lease_id: int, *, keys: bool = False, timeout: float | None = USE_DEFAULT
    ) -> rpc.LeaseTimeToLiveResponse:
        """A lease that does not exist has a TTL of -1."""
        request = rpc.LeaseTimeToLiveRequest(ID=lease_id, keys=keys)
        return self._client.call(method.LEASE_TIME_TO_LIVE, request, timeout)

    def leases(self, *, timeout: float | None = USE_DEFAULT) -> rpc.LeaseLeasesResponse:
        return self._client.call(method.LEASE_LEASES, rpc.LeaseLeasesRequest(), timeout)

    def keep_alive_once(self, lease_id: int, *, timeout: float | None = None) -> rpc.LeaseKeepAliveResponse:
        """Renew a lease once. Raises LeaseNotFound when there is none."""
        deadline = self._client.deadline(timeout)
        try:
            with self._client.open_stream(method.LEASE_KEEP_ALIVE_PATH, deadline) as stream:
                stream.write(rpc.LeaseKeepAliveRequest(ID=lease_id).SerializeToString())
                message = stream.read(None if deadline is None else max(deadline - time.monotonic(), 0.0))
        except TimeoutError:
            raise errors.client_error(errors.wait_error(None)) from None
        except EtcdError as error:
            raise errors.client_error(error) from None
        if message is None:
            raise EtcdError("the server ended the keep-alive stream without an answer", UNAVAILABLE)
        answer = rpc.LeaseKeepAliveResponse.FromString(message)
        if answer.TTL <= 0:
            raise LeaseNotFound
        return answer

    def keep_alive(self, lease_id: int) -> Iterator[rpc.LeaseKeepAliveResponse]:
        """Renew a lease for ever, a third of its TTL apart; yields each answer, ends when the lease is gone.

        The renewals happen while the caller iterates: a caller who is busy for longer than the TTL loses the lease.
        """
        while True:
            try:
                with self._client.open_stream(method.LEASE_KEEP_ALIVE_PATH) as stream:
                    while True:
                        stream.write(rpc.LeaseKeepAliveRequest(ID=lease_id).SerializeToString())
                        message = stream.read()
                        if message is None:
                            break
                        answer = rpc.LeaseKeepAliveResponse.FromString(message)
                        if answer.TTL <= 0:
                            return
                        yield answer
                        time.sleep(answer.TTL / KEEP_ALIVES_PER_TTL)
            except EtcdError as error:
                if error.code != UNAVAILABLE:
                    raise errors.client_error(error) from None
            time.sleep(REOPEN_SECONDS)


class Cluster:
    """The roster of members."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def member_list(self, *, linearizable: bool = True, timeout: float | None = USE_DEFAULT) -> rpc.MemberListResponse:
        request = rpc.MemberListRequest(linearizable=linearizable)
        return self._client.call(method.CLUSTER_MEMBER_LIST, request, timeout)

    def member_add(
        self, peer_urls: Iterable[str], *, is_learner: bool = False, timeout: float | None = USE_DEFAULT
    ) -> rpc.MemberAddResponse:
        """Make a member known, before it is started; a learner does not vote until it is promoted."""
        request = rpc.MemberAddRequest(peerURLs=peer_urls, isLearner=is_learner)
        return self._client.call(method.CLUSTER_MEMBER_ADD, request, timeout)

    def member_remove(self, member_id: int, *, timeout: float | None = USE_DEFAULT) -> rpc.MemberRemoveResponse:
        return self._client.call(method.CLUSTER_MEMBER_REMOVE, rpc.MemberRemoveRequest(ID=member_id), timeout)

    def member_update(
        self, member_id: int, peer_urls: Iterable[str], *, timeout: float | None = USE_DEFAULT
    ) -> rpc.MemberUpdateResponse:
        """Change where the other members reach it."""
        request = rpc.MemberUpdateRequest(ID=member_id, peerURLs=peer_urls)
        return self._client.call(method.CLUSTER_MEMBER_UPDATE, request, timeout)

    def member_promote(self, member_id: int, *, timeout: float | None = USE_DEFAULT) -> rpc.MemberPromoteResponse:
        """Let a learner vote. Refused until it has caught up with the leader."""
        return self._client.call(method.CLUSTER_MEMBER_PROMOTE, rpc.MemberPromoteRequest(ID=member_id), timeout)


class Maintenance:
    """What an operator asks one member (the next endpoint in turn: give a client one endpoint to address it)."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def status(self, *, timeout: float | None = USE_DEFAULT) -> rpc.StatusResponse:
        return self._client.call(method.MAINTENANCE_STATUS, rpc.StatusRequest(), timeout)

    def hash_kv(self, revision: int = 0, *, timeout: float | None = USE_DEFAULT) -> rpc.HashKVResponse:
        return self._client.call(method.MAINTENANCE_HASH_KV, rpc.HashKVRequest(revision=revision), timeout)

    def defragment(self, *, timeout: float | None = USE_DEFAULT) -> rpc.DefragmentResponse:
        return self._client.call(method.MAINTENANCE_DEFRAGMENT, rpc.DefragmentRequest(), timeout)

    def move_leader(self, target_id: int, *, timeout: float | None = USE_DEFAULT) -> rpc.MoveLeaderResponse:
        return self._client.call(method.MAINTENANCE_MOVE_LEADER, rpc.MoveLeaderRequest(targetID=target_id), timeout)

    def downgrade(self, request: rpc.DowngradeRequest, *, timeout: float | None = USE_DEFAULT) -> rpc.DowngradeResponse:
        """Ask whether the cluster may go back to the minor version before its own, allow it, or end that."""
        return self._client.call(method.MAINTENANCE_DOWNGRADE, request, timeout)

    def alarms(self, *, timeout: float | None = USE_DEFAULT) -> rpc.AlarmResponse:
        request = rpc.AlarmRequest(action=rpc.AlarmRequest.GET)
        return self._client.call(method.MAINTENANCE_ALARM, request, timeout)

    def disarm(
        self,
        member_id: int = 0,
        alarm: rpc.AlarmType.ValueType = rpc.NONE,
        *,
        timeout: float | None = USE_DEFAULT,
    ) -> rpc.AlarmResponse:
        """Disarm one alarm; without arguments all that are raised. Answers with what was disarmed."""
        if member_id or alarm:
            request = rpc.AlarmRequest(action=rpc.AlarmRequest.DEACTIVATE, memberID=member_id, alarm=alarm)
            return self._client.call(method.MAINTENANCE_ALARM, request, timeout)
        disarmed = rpc.AlarmResponse()
        for raised in self.alarms(timeout=timeout).alarms:
            request = rpc.AlarmRequest(action=rpc.AlarmRequest.DEACTIVATE, memberID=raised.memberID, alarm=raised.alarm)
            disarmed.alarms.extend(self._client.call(method.MAINTENANCE_ALARM, request, timeout).alarms)
        return disarmed

    def snapshot(self) -> Iterator[rpc.SnapshotResponse]:
        """Stream the member's database; the last bytes are the SHA-256 of the rest."""
        try:
            with self._client.open_stream(method.SNAPSHOT_PATH) as stream:
                stream.write(rpc.SnapshotRequest().SerializeToString())
                stream.finish_writing()
                while (message := stream.read()) is not None:
                    yield rpc.SnapshotResponse.FromString(message)
        except EtcdError as error:
            raise errors.client_error(error) from None


class Auth:
    """Authentication. The client itself authenticates when it was given a user."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def authenticate(
        self, name: bytes, password: bytes, *, timeout: float | None = USE_DEFAULT
    ) -> rpc.AuthenticateResponse:
        request = rpc.AuthenticateRequest(name=name, password=password)
        return self._client.call(method.AUTH_AUTHENTICATE, request, timeout)
