"""Calls from inside the process: the methods of the gRPC server without a socket in between.

    methods = LocalMethods(grpc_methods)
    answer = await methods.unary(b"/etcdserverpb.KV/Put", message, origin)
    with methods.open(b"/etcdserverpb.Watch/Watch", origin) as stream:
        await stream.send(message)
        while (answer := await stream.receive()) is not None: ...

A handler sees an ordinary `Call`. Its metadata and its peer are those of the origin: whoever asked us from outside. So
permissions are checked as if the client had called the method itself.

Rules
  * A handler is taken from its method at the moment of the call: what `Gates` put before it holds here too.
  * Leaving a stream (or cancelling `unary`) ends the call as a client's cancellation does: `on_close` with 8.
  * Back-pressure as on the wire: above the high mark `write` says False, and `on_drain` follows when all was received;
    while a handler does not read, `send` waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

from etcdpy.api.v3.call_count import CallCount
from etcdpy.base.errors import CANCELED, OK, UNKNOWN, EtcdError
from etcdpy.base.invariant import InvariantError
from etcdpy.transport.grpc.call import StreamHandler
from etcdpy.transport.grpc.refusals import unknown_method
from etcdpy.transport.http2._nghttp2 import Method, StreamMethod, UnaryMethod

# What a stream may hold that nobody has received yet; as much as a stream of the HTTP/2 server holds.
HIGH_MARK_BYTES: Final = 64 * 1024
# HTTP/2's error code of a client that does not want the answer any more.
CANCELLED: Final = 8

Methods = Mapping[bytes, UnaryMethod | StreamMethod]


class Origin(Protocol):
    """Who asks: a gRPC call, or an HTTP request."""

    @property
    def peer(self) -> str: ...

    def metadata(self, name: bytes) -> bytes | None: ...


class LocalMethods:
    """All methods of a member, callable in process."""

    def __init__(self, methods: Methods, *, are_counted: bool = False) -> None:
        """`are_counted`: the calls are those of clients, and /metrics shows them."""
        self._methods = methods
        self._are_counted = are_counted
        self._open_streams: dict[LocalStream, None] = {}

    async def unary(self, path: bytes, message: bytes, origin: Origin) -> bytes:
        """Make one call and return the answer's message. Raise EtcdError."""
        method = self._find(path)
        if isinstance(method, StreamMethod):  # one that wants to know when its client goes away
            with self.open(path, origin) as stream:
                await stream.send(message)
                stream.end()
                return await stream.receive_only()
        call = LocalCall(path, origin, message)
        count = self._count(method, origin)
        count.received(message)
        try:
            method.handler(call)
            answer = await call.answer
            count.sent(answer)
            count.ended(OK)
            return answer
        except EtcdError as error:
            count.ended(error.code)
            raise
        finally:
            count.ended(CANCELED)  # where nothing else has come of it
            call.closed = True

    def open(self, path: bytes, origin: Origin) -> LocalStream:
        """Start a streaming call. Raise EtcdError."""
        method = self._find(path)
        if not isinstance(method, StreamMethod):
            raise InvariantError(f"{path!r} is no stream")
        count = self._count(method, origin)
        try:
            stream = LocalStream(method, path, origin, self._open_streams, count)
        except EtcdError as error:
            count.ended(error.code)
            raise
        self._open_streams[stream] = None
        return stream

    def _count(self, method: Method, origin: Origin) -> CallCount:
        return CallCount(method, origin.metadata(b"client-api-version")) if self._are_counted else CallCount(None)

    def end_calls(self, code: int, text: str) -> None:
        """End every open stream with a status."""
        for stream in list(self._open_streams):
            stream.fail(code, text)

    def _find(self, path: bytes) -> UnaryMethod | StreamMethod:
        method = self._methods.get(path)
        if method is None:
            services = {known[1:].rpartition(b"/")[0].decode() for known in self._methods}
            code, text = unknown_method(path, services)
            raise EtcdError(text, code)
        return method


class LocalCall:
    """A unary call; also the part of a streaming call that needs no stream. Implements `Call`."""

    def __init__(self, path: bytes, origin: Origin, message: bytes = b"") -> None:
        self.path = path
        self.message = message
        self.user: object = None
        self.deadline: float | None = None
        self.closed = False
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._origin = origin

    @property
    def peer(self) -> str:
        return self._origin.peer

    @property
    def connection(self) -> object:
        return self

    @property
    def is_crowded(self) -> bool:
        """There is no connection; a stream's own high mark is all."""
        return False

    def has_room(self, size: int) -> bool:
        return True

    def peer_common_name(self) -> bytes | None:
        """None: a certificate's name is not taken over from a gateway (CVE-2018-16886)."""
        return None

    def metadata(self, name: bytes) -> bytes | None:
        return self._origin.metadata(name)

    def put_off(self) -> bool:
        """No: whoever asks from inside takes what he asked for."""
        return False

    def respond(self, message: bytes | list[bytes]) -> None:
        if not (self.closed or self.answer.done()):
            self.answer.set_result(message if isinstance(message, bytes) else b"".join(message))

    def fail(self, code: int, text: str) -> None:
        if not (self.closed or self.answer.done()):
            self.answer.set_exception(EtcdError(text, code))

    def start(self) -> None:
        """There are no headers here."""

    def write(self, message: bytes | list[bytes]) -> bool:
        raise InvariantError(f"{self.path!r} is no stream")

    def finish(self, code: int = 0, text: str = "") -> None:
        raise InvariantError(f"{self.path!r} is no stream")

    def pause_reading(self) -> None:
        """A unary call has been read."""

    def resume_reading(self) -> None:
        """A unary call has been read."""


class LocalStream(LocalCall):
    """A streaming call, both ends of it: a `Call` for the handler, send and receive for the caller.

    Invariant: `on_close` comes exactly once, and last.
    """

    def __init__(
        self,
        method: StreamMethod,
        path: bytes,
        origin: Origin,
        open_streams: dict[LocalStream, None],
        count: CallCount,
    ) -> None:
        super().__init__(path, origin)
        self._count = count
        self._open_streams = open_streams
        self._messages: deque[bytes] = deque()
        self._held_bytes = 0
        self._is_above_mark = False
        self._error: EtcdError | None = None
        self._is_over = False  # the handler has ended the call
        self.is_started = False  # the handler has sent its headers
        self._changed = asyncio.Event()
        self._readable = asyncio.Event()
        self._readable.set()
        self._handler: StreamHandler = method.handler(self)

    # -- the caller's end

    async def send(self, message: bytes) -> None:
        """Hand one message to the handler, when it reads. A call that is over takes it and drops it."""
        await self._readable.wait()
        if not self._is_over:
            self._count.received(message)
            self._handler.on_message(message)

    def end(self) -> None:
        """Say that no more messages follow."""
        if not self._is_over:
            self._handler.on_end()

    async def receive(self) -> bytes | None:
        """Return the next message, or None after the last. Raise the EtcdError that the call ended with."""
        while not self._messages:
            if self._is_over:
                if self._error is not None:
                    raise self._error
                return None
            self._changed.clear()
            await self._changed.wait()
        message = self._messages.popleft()
        self._held_bytes -= len(message)
        if self._is_above_mark and not self._messages:
            self._is_above_mark = False
            if not self._is_over:
                self._handler.on_drain()
        return message

    async def receive_only(self) -> bytes:
        """Return the one message of a unary call. Raise EtcdError."""
        message = await self.receive()
        if message is None:
            raise EtcdError("EOF", UNKNOWN)
        return message

    def cancel(self) -> None:
        """Take no more answers and tell the handler so."""
        if not self.closed:
            self._open_streams.pop(self, None)
            was_over, self.closed, self._is_over = self._is_over, True, True
            self._count.ended(CANCELED)
            self._messages.clear()
            self._error = self._error or EtcdError("context canceled", CANCELED)
            self._wake()
            self._handler.on_close(0 if was_over else CANCELLED)

    def __enter__(self) -> LocalStream:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.cancel()

    # -- the handler's end

    def respond(self, message: bytes | list[bytes]) -> None:
        self.write(message)
        self.finish()

    def fail(self, code: int, text: str) -> None:
        self.finish(code, text)

    def start(self) -> None:
        self.is_started = True
        self._wake()

    def write(self, message: bytes | list[bytes]) -> bool:
        if self._is_over:
            return False
        if not isinstance(message, bytes):
            message = b"".join(message)
        self.is_started = True
        self._count.sent(message)
        self._messages.append(message)
        self._held_bytes += len(message)
        self._changed.set()
        if self._held_bytes > HIGH_MARK_BYTES:
            self._is_above_mark = True
            return False
        return True

    def finish(self, code: int = 0, text: str = "") -> None:
        if not self._is_over:
            self._is_over = True
            self._count.ended(code)
            self._error = EtcdError(text, code) if code else None
            self._wake()

    def pause_reading(self) -> None:
        self._readable.clear()

    def resume_reading(self) -> None:
        self._readable.set()

    def _wake(self) -> None:
        self._changed.set()
        if self._is_over:
            self._readable.set()
