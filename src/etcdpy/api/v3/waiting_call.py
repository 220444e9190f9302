"""A call with one request that may wait for long: a task of its own, which ends when its client goes away.

    open(call) > on_message(request) > task: work(call, request) ... call.respond, call.write > on_close: task cancelled

A unary method is not told that its client has gone, and need not care. One that waits in a queue must: so these stand
in the table as streams, which look the same on the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import DecodeError

from etcdpy.api.v3.dispatch import refuse
from etcdpy.base.errors import UNKNOWN, EtcdError
from etcdpy.server.tasks import TaskOwner
from etcdpy.transport.grpc.call import Call, StreamHandler


class WaitingCall:
    """One call: the transport's StreamHandler, and what its task waits with."""

    def __init__(
        self,
        call: Call,
        tasks: TaskOwner,
        parse: Callable[[bytes], Any],
        work: Callable[[WaitingCall, Any], Awaitable[None]],
    ) -> None:
        self.call = call
        self._tasks = tasks
        self._parse = parse
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._is_over = False
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def write(self, message: bytes) -> None:
        """Send one message, and wait while the client takes no more."""
        self.queue(message)
        await self.wait_room()

    def queue(self, message: bytes) -> None:
        """Send one message; `wait_room` comes before the next."""
        if not self.call.write(message):
            self._has_room.clear()

    async def wait_room(self) -> None:
        """Wait while the client takes no more."""
        await self._has_room.wait()

    async def _run(self, request: Any) -> None:
        try:
            await self._work(self, request)
            self._finish()
        except EtcdError as error:
            self._finish(error)

    def _finish(self, error: EtcdError | None = None) -> None:
        if self._is_over or self.call.closed:
            return
        self._is_over = True
        if error is None:
            self.call.finish()
        else:
            self.call.fail(error.code, error.text)

    # -- StreamHandler

    def on_message(self, message: bytes, /) -> None:
        if self._task is not None or self._is_over:
            return  # one request is all that such a call has
        try:
            request = self._parse(message)
        except DecodeError as error:
            self._is_over = True
            refuse(self.call, error)
        else:
            self._task = self._tasks.start(self._run(request))

    def on_end(self) -> None:
        if self._task is None:
            self._finish(EtcdError("EOF", UNKNOWN))

    def on_close(self, error: int, /) -> None:
        self._is_over = True
        if self._task is not None:
            self._task.cancel()

    def on_drain(self) -> None:
        self._has_room.set()


def unary_that_waits(
    tasks: TaskOwner, parse: Callable[[bytes], Any], answer: Callable[[Call, Any], Awaitable[bytes]]
) -> Callable[[Call], StreamHandler]:
    """Return what opens the calls of a unary method whose answer may be long in coming."""

    async def work(waiting: WaitingCall, request: Any) -> None:
        await waiting.write(await answer(waiting.call, request))

    return lambda call: WaitingCall(call, tasks, parse, work)


def server_stream(
    tasks: TaskOwner, parse: Callable[[bytes], Any], work: Callable[[WaitingCall, Any], Awaitable[None]]
) -> Callable[[Call], StreamHandler]:
    """Return what opens the calls of a method that answers one request with many messages."""
    return lambda call: WaitingCall(call, tasks, parse, work)
