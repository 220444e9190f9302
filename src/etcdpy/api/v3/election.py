"""The Election service: a queue whose first one leads; the value of its key is what it proclaims.

    Campaign   enter, wait for all before me to go
    Proclaim   put another value, if my key is still the one
    Resign     delete my key, if it is still the one
    Leader     the first key;  Observe: the same for ever

Source: v3electionpb.Election; facts 1.11.
"""

from __future__ import annotations

from typing import Final

from etcdpy.api.v3.local import LocalMethods
from etcdpy.api.v3.queue import Place, Queue, after, created_at, first_put
from etcdpy.api.v3.waiting_call import WaitingCall, server_stream, unary_that_waits
from etcdpy.base.errors import UNKNOWN, EtcdError, LeaseNotFound
from etcdpy.pb import kv_pb2, rpc_pb2, v3election_pb2
from etcdpy.server.tasks import TaskOwner
from etcdpy.transport.grpc.call import Call

NOT_LEADER_TEXT: Final = "election: not leader"
NO_LEADER_TEXT: Final = "election: no leader"
NO_KEY_TEXT: Final = '"leader" field must be provided'


class ElectionApi:
    """Openers of Campaign, Proclaim, Leader, Observe and Resign."""

    def __init__(self, methods: LocalMethods, tasks: TaskOwner) -> None:
        self._methods = methods
        pb = v3election_pb2
        self.campaign = unary_that_waits(tasks, pb.CampaignRequest.FromString, self._campaign)
        self.proclaim = unary_that_waits(tasks, pb.ProclaimRequest.FromString, self._proclaim)
        self.leader = unary_that_waits(tasks, pb.LeaderRequest.FromString, self._leader)
        self.resign = unary_that_waits(tasks, pb.ResignRequest.FromString, self._resign)
        self.observe = server_stream(tasks, pb.LeaderRequest.FromString, self._observe)

    async def _campaign(self, call: Call, request: v3election_pb2.CampaignRequest) -> bytes:
        queue = Queue(self._methods, call, request.name)
        place = await queue.enter(request.lease, request.value)
        if place.value != request.value:  # it stood there before, with another value
            await self._update(queue, place, request.value)
        if await queue.wait_turn(place) and await queue.check_still_there(place) is None:
            raise EtcdError(LeaseNotFound.text, UNKNOWN)
        leader = v3election_pb2.LeaderKey(name=request.name, key=place.key, rev=place.revision, lease=place.lease)
        return v3election_pb2.CampaignResponse(header=place.header, leader=leader).SerializeToString()

    async def _update(self, queue: Queue, place: Place, value: bytes) -> None:
        try:
            await _put(queue, place.key, place.revision, place.lease, value)
        except EtcdError:
            await queue.leave_quietly(place)
            raise

    async def _proclaim(self, call: Call, request: v3election_pb2.ProclaimRequest) -> bytes:
        leader = _leader_of(request)
        queue = Queue(self._methods, call, leader.name)
        lease = leader.lease or await queue.grant()
        header = await _put(queue, leader.key, leader.rev, lease, request.value)
        return v3election_pb2.ProclaimResponse(header=header).SerializeToString()

    async def _resign(self, call: Call, request: v3election_pb2.ResignRequest) -> bytes:
        leader = _leader_of(request)
        queue = Queue(self._methods, call, leader.name)
        if not leader.lease:
            await queue.grant()  # as etcd does, which opens a session for each of these calls
        header = await queue.leave(leader.key, leader.rev)
        return v3election_pb2.ResignResponse(header=header).SerializeToString()

    async def _leader(self, call: Call, request: v3election_pb2.LeaderRequest) -> bytes:
        response = await Queue(self._methods, call, request.name).first()
        if not response.kvs:
            raise EtcdError(NO_LEADER_TEXT, UNKNOWN)
        return _leader_response(response.header, response.kvs[0])

    # -- the stream

    async def _observe(self, waiting: WaitingCall, request: v3election_pb2.LeaderRequest) -> None:
        """Whatever goes wrong inside, permissions too, ends the stream without a word, as with etcd."""
        try:
            await self._observe_all(waiting, Queue(self._methods, waiting.call, request.name))
        except EtcdError:
            return

    async def _observe_all(self, waiting: WaitingCall, queue: Queue) -> None:
        while True:
            found = await queue.first()
            header = found.header
            leader = found.kvs[0] if found.kvs else await self._wait_candidate(queue, header)
            if leader is None:
                continue
            if not found.kvs:
                header.revision = leader.mod_revision
            await waiting.write(_leader_response(header, leader))
            await self._follow(waiting, queue, leader.key, header.revision + 1)

    async def _wait_candidate(self, queue: Queue, header: rpc_pb2.ResponseHeader) -> kv_pb2.KeyValue | None:
        """Return the first key that comes into an empty queue, or None: look again."""
        request = rpc_pb2.WatchCreateRequest(
            key=queue.prefix, range_end=after(queue.prefix), start_revision=header.revision + 1
        )
        async with queue.watch(request) as watching:
            while True:
                response = await watching.next()
                if response is None:
                    return None
                put = first_put(response)
                if put is not None:
                    return put

    async def _follow(self, waiting: WaitingCall, queue: Queue, key: bytes, revision: int) -> None:
        """Tell of each new value of the leader's key until it is deleted, or has to be looked for again."""
        request = rpc_pb2.WatchCreateRequest(key=key, start_revision=revision)
        async with queue.watch(request) as watching:
            while True:
                response = await watching.next()
                if response is None:
                    return
                for event in response.events:
                    if event.type == kv_pb2.Event.DELETE:
                        return
                    await waiting.write(_leader_response(response.header, event.kv))


def _leader_of(
    request: v3election_pb2.ProclaimRequest | v3election_pb2.ResignRequest,
) -> v3election_pb2.LeaderKey:
    if not request.HasField("leader"):
        raise EtcdError(NO_KEY_TEXT, UNKNOWN)
    return request.leader


async def _put(queue: Queue, key: bytes, revision: int, lease: int, value: bytes) -> rpc_pb2.ResponseHeader:
    put = rpc_pb2.PutRequest(key=key, value=value, lease=lease)
    request = rpc_pb2.TxnRequest(compare=[created_at(key, revision)], success=[rpc_pb2.RequestOp(request_put=put)])
    response = await queue.txn(request)
    if not response.succeeded:
        raise EtcdError(NOT_LEADER_TEXT, UNKNOWN)
    return response.header


def _leader_response(header: rpc_pb2.ResponseHeader, leader: kv_pb2.KeyValue) -> bytes:
    return v3election_pb2.LeaderResponse(header=header, kv=leader).SerializeToString()
