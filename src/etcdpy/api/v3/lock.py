"""The Lock service: a queue whose first one holds the lock. Source: v3lockpb.Lock; facts 1.11."""

from __future__ import annotations

from typing import Final

from etcdpy.api.v3.local import LocalMethods
from etcdpy.api.v3.queue import Queue
from etcdpy.api.v3.waiting_call import unary_that_waits
from etcdpy.base.errors import UNKNOWN, EtcdError
from etcdpy.pb import v3lock_pb2
from etcdpy.server.tasks import TaskOwner
from etcdpy.transport.grpc.call import Call

EXPIRED_TEXT: Final = "mutex: session is expired"


class LockApi:
    """Openers of Lock and Unlock."""

    def __init__(self, methods: LocalMethods, tasks: TaskOwner) -> None:
        self._methods = methods
        self.lock = unary_that_waits(tasks, v3lock_pb2.LockRequest.FromString, self._lock)
        self.unlock = unary_that_waits(tasks, v3lock_pb2.UnlockRequest.FromString, self._unlock)

    async def _lock(self, call: Call, request: v3lock_pb2.LockRequest) -> bytes:
        queue = Queue(self._methods, call, request.name)
        place = await queue.enter(request.lease)
        header = place.header
        if await queue.wait_turn(place):
            fresh = await queue.check_still_there(place)
            if fresh is None:
                raise EtcdError(EXPIRED_TEXT, UNKNOWN)
            header = fresh
        return v3lock_pb2.LockResponse(header=header, key=place.key).SerializeToString()

    async def _unlock(self, call: Call, request: v3lock_pb2.UnlockRequest) -> bytes:
        header = await Queue(self._methods, call, b"").delete(request.key)
        return v3lock_pb2.UnlockResponse(header=header).SerializeToString()
