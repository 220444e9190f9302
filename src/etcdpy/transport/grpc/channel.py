"""The asynchronous gRPC client: one connection, any number of calls.

    channel = Channel("127.0.0.1:2379")
    answer = await channel.unary(b"/etcdserverpb.KV/Range", request_bytes, timeout=5.0)
    stream = await channel.stream(b"/etcdserverpb.Watch/Watch")
    await stream.write(request_bytes)
    async for message in stream: ...

Rules
  * It connects with the first call, and again after the connection was lost or the server said GOAWAY. Calls under
    way when a connection is lost fail with UNAVAILABLE; a unary call that the server promises not to have seen is
    sent once more.
  * Deadlines travel as grpc-timeout and are enforced here too, at the endpoint's tick.
  * A cancelled task cancels its call (RST_STREAM).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from etcdpy.base.errors import UNAVAILABLE, EtcdError
from etcdpy.transport.grpc import client_call
from etcdpy.transport.grpc.client_call import Address, ClientHooks, Metadata
from etcdpy.transport.http2._nghttp2 import Endpoint, Session, Stream, monotonic

if TYPE_CHECKING:
    import ssl

CONNECT_SECONDS_DEFAULT: Final = 5.0
# Messages a stream keeps for a slow reader before its window closes.
WAITING_MESSAGES_MAX: Final = 256


class _Answer:
    """The future of one unary call."""

    __slots__ = ("future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[None] = loop.create_future()

    def on_message(self, message: bytes, /) -> None:
        pass

    def on_end(self) -> None:
        pass

    def on_drain(self) -> None:
        pass

    def on_close(self, error: int, /) -> None:
        if not self.future.done():
            self.future.set_result(None)


class ClientStream:
    """One streaming call. One task reads, one (it may be another) writes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._messages: deque[bytes] = deque()
        self._readable: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._over = False
        self._call: Stream | None = None

    def attach(self, call: Stream) -> None:
        """Take the running call (the channel's part of the construction)."""
        self._call = call

    async def write(self, message: bytes) -> None:
        """Send a message; waits while the server does not take more."""
        call = self._running_call()
        if not call.write(message) and not self._over:
            self._drained = self._loop.create_future()
            await self._drained
        if self._over:
            raise client_call.failure(call) or EtcdError("the call is over", UNAVAILABLE)

    def finish_writing(self) -> None:
        """No more messages will be sent."""
        self._running_call().finish()

    async def read(self) -> bytes | None:
        """Return the next message, or None at a regular end; raises the EtcdError the call ended with."""
        while not self._messages:
            if self._over:
                error = client_call.failure(self._running_call())
                if error is not None:
                    raise error
                return None
            self._readable = self._loop.create_future()
            await self._readable
        message = self._messages.popleft()
        if not self._messages:
            self._running_call().resume_reading()
        return message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (message := await self.read()) is not None:
            yield message

    def cancel(self) -> None:
        """End the call at once."""
        if not self._over:
            self._running_call().reset()

    def _running_call(self) -> Stream:
        assert self._call is not None
        return self._call

    # ---- StreamHandler

    def on_message(self, message: bytes, /) -> None:
        self._messages.append(message)
        if len(self._messages) >= WAITING_MESSAGES_MAX:
            self._running_call().pause_reading()
        _resolve(self._readable)

    def on_end(self) -> None:
        pass

    def on_drain(self) -> None:
        _resolve(self._drained)

    def on_close(self, error: int, /) -> None:
        self._over = True
        _resolve(self._readable)
        _resolve(self._drained)


def _resolve(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


class Channel:
    """Calls to one server over one connection, from one event loop."""

    def __init__(
        self,
        address: str,
        *,
        connect_timeout: float = CONNECT_SECONDS_DEFAULT,
        ssl_context: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> None:
        self.address = Address(address)
        self._connect_timeout = connect_timeout
        self._ssl_context = ssl_context
        self._server_hostname = server_hostname or self.address.server_name
        self._connecting = asyncio.Lock()
        self._endpoint: Endpoint | None = None
        self._session: Session | None = None

    async def connect(self) -> Session:
        """Connect now, unless connected (the first call does it otherwise). Raises EtcdError with code UNAVAILABLE."""
        async with self._connecting:
            if self._session is not None and self._session.alive and not self._session.draining:
                return self._session
            try:
                async with asyncio.timeout(self._connect_timeout):
                    self._session = await self._open_session()
            except (OSError, TimeoutError) as error:
                client_call.raise_unavailable(self.address, error)
            return self._session

    async def unary(self, path: bytes, message: bytes, timeout: float | None = None, metadata: Metadata = ()) -> bytes:
        """Make one call and return the answer's message. `timeout` in seconds; raises EtcdError."""
        deadline = None if timeout is None else monotonic() + timeout
        call = await self._wait_unary(path, message, deadline, metadata)
        if client_call.never_processed(call):
            call = await self._wait_unary(path, message, deadline, metadata)
        return client_call.unary_result(call)

    async def stream(self, path: bytes, metadata: Metadata = ()) -> ClientStream:
        """Start a streaming call."""
        session = await self._live_session()
        stream = ClientStream(asyncio.get_running_loop())
        stream.attach(session.request(path, metadata, stream))
        return stream

    def close(self) -> None:
        """Close the connection; calls under way fail with UNAVAILABLE."""
        session, self._session = self._session, None
        if session is not None:
            session.flush()
            session.close()

    async def _live_session(self) -> Session:
        session = self._session
        if session is not None and session.alive and not session.draining:
            return session
        return await self.connect()

    async def _wait_unary(self, path: bytes, message: bytes, deadline: float | None, metadata: Metadata) -> Stream:
        session = await self._live_session()
        answer = _Answer(asyncio.get_running_loop())
        if deadline is not None:
            metadata = client_call.with_timeout(metadata, deadline - monotonic())
        call = session.request(path, metadata, answer, message, deadline or 0.0)
        try:
            await answer.future
        except asyncio.CancelledError:
            call.reset()
            raise
        return call

    async def _open_session(self) -> Session:
        loop = asyncio.get_running_loop()
        if self._endpoint is None:
            self._endpoint = Endpoint(
                loop,
                server=False,
                hooks=ClientHooks(),
                base_headers=client_call.base_headers(self.address, tls=self._ssl_context is not None),
                message_bytes_max=client_call.ANSWER_BYTES_MAX,
                stream_window_bytes=client_call.STREAM_WINDOW_BYTES,
                connection_window_bytes=client_call.CONNECTION_WINDOW_BYTES,
            )
        endpoint = self._endpoint
        hostname = None
        if self._ssl_context is not None:
            self._ssl_context.set_alpn_protocols(["h2"])
            hostname = self._server_hostname
        if self.address.unix_path:
            _, session = await loop.create_unix_connection(
                lambda: Session(endpoint), self.address.unix_path, ssl=self._ssl_context, server_hostname=hostname
            )
        else:
            _, session = await loop.create_connection(
                lambda: Session(endpoint),
                self.address.host,
                self.address.port,
                ssl=self._ssl_context,
                server_hostname=hostname,
            )
        return session
