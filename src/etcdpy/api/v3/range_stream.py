"""KV/RangeStream: a range as a stream of messages, of which the member holds one at a time.

    RangeStreamResponse{range_response{kvs}} ...      as many as it takes
    RangeStreamResponse{range_response{header, kvs, more, count}}     the last

Merged they are the answer of KV/Range. The next message is made when the client has taken the one before.

Rules
  * What needs the whole range at hand is refused: an order of its own, and filters by revision.
  * The header's revision is the one at which the stream began; everything is read at it, whatever is written meanwhile.
  * Whoever may no longer read since permissions changed gets no further message.
  * While too much waits on a connection, its streams make nothing more, and then one after the other: a connection has
    thousands of streams, each with a message in memory.
  * Clients that ask for a leader (metadata `hasleader: true`) are told when there is none, also in the middle.

Source: etcdserverpb.KV of 3.7, which has no path for it in the JSON gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from etcdpy.api.v3.header import HeaderEncoder
from etcdpy.api.v3.stream_permission import StreamPermission
from etcdpy.api.v3.waiting_call import WaitingCall, server_stream
from etcdpy.base.errors import UNIMPLEMENTED, EtcdError, NoLeader
from etcdpy.base.varint import encode_varint
from etcdpy.pb.rpc_pb2 import RangeRequest
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.mvcc.range_chunks import ChunkSteps, chunk_steps
from etcdpy.state.mvcc.store import Store
from etcdpy.state.mvcc.validate import check_range_request
from etcdpy.transport.grpc.call import Call

SORT_TEXT: Final = "RangeStream does not support custom sort orders"
FILTER_TEXT: Final = "RangeStream does not support revision filters"
# How often the first of a connection's waiting streams looks whether its client has taken something.
CROWDED_SECONDS: Final = 0.01
_RANGE_RESPONSE_TAG: Final = b"\x0a"


class Reader(Protocol):
    """The service."""

    async def wait_linearizable(self) -> object: ...


class Turn:
    """Whose turn it is among the streams of one connection."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()  # fair: who came first goes first
        self.users = 0


class RangeStreamApi:
    """The handler of etcdserverpb.KV/RangeStream."""

    def __init__(
        self,
        reader: Reader,
        store: Store,
        header: HeaderEncoder,
        permission: StreamPermission,
        *,
        has_leader: Callable[[], bool],
        tasks: TaskOwner,
    ) -> None:
        self._reader = reader
        self._store = store
        self._header = header
        self._permission = permission
        self._has_leader = has_leader
        self._turns: dict[object, Turn] = {}  # by connection; Invariant: each has users
        self.open = server_stream(tasks, RangeRequest.FromString, self._send)

    async def _send(self, waiting: WaitingCall, request: RangeRequest) -> None:
        check_stream_request(request)
        call = waiting.call
        self._check_leader(call)
        if not request.serializable or self._permission.is_pending(call):
            await self._reader.wait_linearizable()
        auth_revision = self._permission.check_range(call, request.key, request.range_end)
        steps = chunk_steps(self._store, request)
        turn = self._turns.setdefault(call.connection, Turn())
        turn.users += 1
        try:
            while await self._queue_next(waiting, steps, turn):
                await waiting.wait_room()
                await asyncio.sleep(0)  # others have their turn between any two chunks
                self._check_leader(call)
                self._permission.check_unchanged(auth_revision)
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[call.connection]
            steps.close()

    async def _queue_next(self, waiting: WaitingCall, steps: ChunkSteps, turn: Turn) -> bool:
        """Make and send the next message once the connection has room; return whether there was one."""
        async with turn.lock:
            while waiting.call.is_crowded:
                await asyncio.sleep(CROWDED_SECONDS)
            message = self._next_message(steps)
            if message:
                waiting.queue(message)
            return message is not None

    def _next_message(self, steps: ChunkSteps) -> bytes | None:
        """Return the next message, b"" where there is none yet, None behind the last."""
        try:
            chunk = next(steps)
        except StopIteration as done:
            if done.value is None:  # it had ended before
                return None
            return _wrap(self._header.complete(done.value))
        return b"" if chunk is None else _wrap(chunk)

    def _check_leader(self, call: Call) -> None:
        if not self._has_leader() and call.metadata(b"hasleader") == b"true":
            raise NoLeader


def check_stream_request(request: RangeRequest) -> None:
    """Raise EtcdError for what cannot be streamed, or not be read at all."""
    check_range_request(request)
    in_order = request.sort_order == RangeRequest.NONE or (
        request.sort_target == RangeRequest.KEY and request.sort_order == RangeRequest.ASCEND
    )
    if not in_order:
        raise EtcdError(SORT_TEXT, UNIMPLEMENTED)
    if (
        request.min_mod_revision
        or request.max_mod_revision
        or request.min_create_revision
        or request.max_create_revision
    ):
        raise EtcdError(FILTER_TEXT, UNIMPLEMENTED)


def _wrap(range_response: bytes) -> bytes:
    return _RANGE_RESPONSE_TAG + encode_varint(len(range_response)) + range_response
