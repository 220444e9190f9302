"""The queue behind a lock or an election: keys under one prefix, in the order of their creation.

    name/<lease>   create_revision 7    holds it
    name/<other>   create_revision 9    waits for 7 to go
    name/<third>   create_revision 12   waits for 9 to go

A place in the queue is a key that lives as long as its lease. Who waits watches the youngest key that is older than his
own, and nothing else: one goes, one wakes up, nobody polls.

Rules
  * After waiting, the own key is looked at again: its lease may have died meanwhile, and then another one holds the
    place (upstream issue 11456: a waiter whose lease has died does not get the lock).
  * Who stops waiting takes his key away, unless it has been replaced. Should that fail, the lease does it.
  * What comes from the inner calls keeps its text and loses its code, as through etcd's own client: Unknown.

Source: facts 1.11; the running 3.5.1 where they are silent. Upstream: clientv3/concurrency.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from etcdpy.api.v3.local import LocalMethods, Origin
from etcdpy.base.errors import UNKNOWN, EtcdError
from etcdpy.pb import kv_pb2, rpc_pb2

# The lease that a caller gets who brings none; upstream's defaultSessionTTL.
SESSION_TTL_SECONDS: Final = 60

RANGE: Final = b"/etcdserverpb.KV/Range"
DELETE: Final = b"/etcdserverpb.KV/DeleteRange"
TXN: Final = b"/etcdserverpb.KV/Txn"
GRANT: Final = b"/etcdserverpb.Lease/LeaseGrant"
WATCH: Final = b"/etcdserverpb.Watch/Watch"


@dataclass(slots=True)
class Place:
    """A key in the queue."""

    key: bytes
    revision: int  # at which it was created
    lease: int
    header: rpc_pb2.ResponseHeader  # of the answer that told so
    value: bytes  # what the key holds; another one than was wanted if it stood there before


class Queue:
    """One name's queue, as seen by one caller."""

    def __init__(self, methods: LocalMethods, origin: Origin, name: bytes) -> None:
        self._methods = methods
        self._origin = origin
        self.prefix = name + b"/"

    # -- a place

    async def enter(self, lease: int, value: bytes = b"") -> Place:
        """Take a place, or find the one that this lease has already."""
        lease = lease or await self.grant()
        key = self.prefix + b"%x" % lease
        request = rpc_pb2.TxnRequest(
            compare=[created_at(key, 0)],
            success=[rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=key, value=value, lease=lease))],
            failure=[rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=key))],
        )
        response = await self.txn(request)
        if response.succeeded:
            return Place(key, response.header.revision, lease, response.header, value)
        found = response.responses[0].response_range.kvs[0]
        return Place(key, found.create_revision, lease, response.header, found.value)

    async def grant(self) -> int:
        """Return a new session lease. Nobody renews it."""
        request = rpc_pb2.LeaseGrantRequest(TTL=SESSION_TTL_SECONDS)
        answer = await self._unary(GRANT, request.SerializeToString())
        return rpc_pb2.LeaseGrantResponse.FromString(answer).ID

    async def wait_turn(self, place: Place) -> bool:
        """Wait until nobody is before `place`; return whether there was anybody."""
        has_waited = False
        try:
            while True:
                ahead = await self.range(
                    rpc_pb2.RangeRequest(
                        key=self.prefix,
                        range_end=after(self.prefix),
                        limit=1,
                        sort_order=rpc_pb2.RangeRequest.DESCEND,
                        sort_target=rpc_pb2.RangeRequest.CREATE,
                        max_create_revision=place.revision - 1,
                        keys_only=True,
                    )
                )
                if not ahead.kvs:
                    return has_waited
                has_waited = True
                await self._wait_deleted(ahead.kvs[0].key, ahead.header.revision + 1)
        except (asyncio.CancelledError, EtcdError):
            await self.leave_quietly(place)
            raise

    async def check_still_there(self, place: Place) -> rpc_pb2.ResponseHeader | None:
        """Return the header of a fresh look at the place, or None: the lease has died, and the place with it."""
        response = await self.range(rpc_pb2.RangeRequest(key=place.key))
        if not response.kvs or response.kvs[0].create_revision != place.revision:
            return None
        return response.header

    async def leave_quietly(self, place: Place) -> None:
        """Give the place up. Where that cannot be done now, the end of the lease does it."""
        try:
            await self.leave(place.key, place.revision)
        except EtcdError:
            return

    async def leave(self, key: bytes, revision: int) -> rpc_pb2.ResponseHeader:
        """Delete the key if it is the one created at `revision`."""
        request = rpc_pb2.TxnRequest(
            compare=[created_at(key, revision)],
            success=[rpc_pb2.RequestOp(request_delete_range=rpc_pb2.DeleteRangeRequest(key=key))],
        )
        return (await self.txn(request)).header

    # -- the first in the queue

    async def first(self) -> rpc_pb2.RangeResponse:
        """Return the oldest key of the queue, if there is one."""
        request = rpc_pb2.RangeRequest(
            key=self.prefix,
            range_end=after(self.prefix),
            limit=1,
            sort_order=rpc_pb2.RangeRequest.ASCEND,
            sort_target=rpc_pb2.RangeRequest.CREATE,
        )
        return await self.range(request)

    # -- inner calls

    async def range(self, request: rpc_pb2.RangeRequest) -> rpc_pb2.RangeResponse:
        return rpc_pb2.RangeResponse.FromString(await self._unary(RANGE, request.SerializeToString()))

    async def txn(self, request: rpc_pb2.TxnRequest) -> rpc_pb2.TxnResponse:
        return rpc_pb2.TxnResponse.FromString(await self._unary(TXN, request.SerializeToString()))

    async def delete(self, key: bytes) -> rpc_pb2.ResponseHeader:
        answer = await self._unary(DELETE, rpc_pb2.DeleteRangeRequest(key=key).SerializeToString())
        return rpc_pb2.DeleteRangeResponse.FromString(answer).header

    async def _unary(self, path: bytes, message: bytes) -> bytes:
        try:
            return await self._methods.unary(path, message, self._origin)
        except EtcdError as error:
            raise EtcdError(error.text, UNKNOWN) from error

    def watch(self, request: rpc_pb2.WatchCreateRequest) -> Watching:
        """Return a watch to be entered by `async with`."""
        return Watching(self._methods, self._origin, request)

    async def _wait_deleted(self, key: bytes, revision: int) -> None:
        request = rpc_pb2.WatchCreateRequest(
            key=key, start_revision=revision, filters=[rpc_pb2.WatchCreateRequest.NOPUT]
        )
        async with self.watch(request) as watching:
            while True:
                response = await watching.next()
                if response is None or response.events:
                    return


class Watching:
    """One watch on a stream of its own."""

    def __init__(self, methods: LocalMethods, origin: Origin, request: rpc_pb2.WatchCreateRequest) -> None:
        self._stream = methods.open(WATCH, origin)
        self._request = rpc_pb2.WatchRequest(create_request=request)

    async def next(self) -> rpc_pb2.WatchResponse | None:
        """Return the next response, or None where the history is gone: look at the keys again. Raise EtcdError."""
        try:
            message = await self._stream.receive_only()
        except EtcdError as error:
            raise EtcdError(error.text, UNKNOWN) from error
        response = rpc_pb2.WatchResponse.FromString(message)
        if response.compact_revision:
            return None
        if response.canceled:
            raise EtcdError(response.cancel_reason, UNKNOWN)
        return response

    async def __aenter__(self) -> Watching:
        await self._stream.send(self._request.SerializeToString())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._stream.cancel()


def created_at(key: bytes, revision: int) -> rpc_pb2.Compare:
    """Return the comparison that holds while `key` is the one created at `revision` (0: there is none)."""
    return rpc_pb2.Compare(
        key=key, result=rpc_pb2.Compare.EQUAL, target=rpc_pb2.Compare.CREATE, create_revision=revision
    )


def after(prefix: bytes) -> bytes:
    """Return the first key after all that begin with `prefix`, which ends with a slash."""
    return prefix[:-1] + b"0"


def first_put(response: rpc_pb2.WatchResponse) -> kv_pb2.KeyValue | None:
    """Return the first key that was put, if the response tells of one."""
    return next((event.kv for event in response.events if event.type == kv_pb2.Event.PUT), None)
