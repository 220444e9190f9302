"""A gRPC client on a bare blocking socket: for command line tools, which must start at once. No event loop, no thread.

    channel = BlockingChannel("127.0.0.1:2379")
    answer = channel.unary(b"/etcdserverpb.KV/Range", request_bytes, timeout=5.0)
    with channel.stream(b"/etcdserverpb.Watch/Watch") as stream:
        stream.write(request_bytes)
        while (message := stream.read()) is not None: ...

Rules
  * One thread uses a channel. Within it any number of streams and unary calls may be open: whoever waits reads the
    socket for all, and messages for others wait in their streams (a stream that holds enough closes its window).
  * It connects with the first call, and again after the connection was lost; calls under way then fail with
    UNAVAILABLE.
  * Must not import asyncio, uvloop or anything that does.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from etcdpy.base.errors import UNAVAILABLE, EtcdError
from etcdpy.transport.grpc import client_call
from etcdpy.transport.grpc.client_call import Address, ClientHooks, Metadata
from etcdpy.transport.http2._nghttp2 import Endpoint, Session, Stream, monotonic

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

CONNECT_SECONDS_DEFAULT: Final = 5.0
# What one recv may bring; also how much of the answer is in user memory twice.
RECEIVE_BYTES: Final = 256 * 1024
# Messages a stream keeps for a reader who is busy elsewhere before its window closes.
WAITING_MESSAGES_MAX: Final = 64


class _SocketTransport:
    """The few methods of an asyncio transport that Session calls, on a blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.closed = False

    def write(self, data: bytes) -> None:
        if not self.closed:
            self._sock.sendall(data)

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_extra_info(self, name: str) -> Any:
        return self._sock.getpeername() if name == "peername" else None


class _UnaryHandler:
    """Waits for the end of one unary call."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def on_message(self, message: bytes, /) -> None:
        pass

    def on_end(self) -> None:
        pass

    def on_drain(self) -> None:
        pass

    def on_close(self, error: int, /) -> None:
        self.done = True


class BlockingStream:
    """One streaming call. `read` returns None after the last message, and raises the EtcdError the call ended with."""

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel
        self._messages: deque[bytes] = deque()
        self._above_mark = False
        self._over = False
        self._call: Stream | None = None

    def attach(self, call: Stream) -> None:
        """Take the running call (the channel's part of the construction)."""
        self._call = call

    def write(self, message: bytes) -> None:
        """Send a message; waits while the server does not take more."""
        call = self._running_call()
        self._above_mark = not call.write(message)
        self._channel.push()
        while self._above_mark and not self._over:
            self._channel.wait_input(None)
        if self._over:
            raise client_call.failure(call) or EtcdError("the call is over", UNAVAILABLE)

    def finish_writing(self) -> None:
        """No more messages will be sent."""
        self._running_call().finish()
        self._channel.push()

    def read(self, timeout: float | None = None) -> bytes | None:
        """Return the next message, or None at a regular end. Raises TimeoutError when there is none in time."""
        deadline = None if timeout is None else monotonic() + timeout
        call = self._running_call()
        while not self._messages:
            if self._over:
                error = client_call.failure(call)
                if error is not None:
                    raise error
                return None
            self._channel.wait_input(deadline)
        message = self._messages.popleft()
        if not self._messages:
            call.resume_reading()
            self._channel.push()
        return message

    def cancel(self) -> None:
        """End the call at once; what it still says is dropped."""
        if self._call is not None and not self._over:
            self._call.reset()
            self._channel.push()
            self._over = True

    def __enter__(self) -> BlockingStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def _running_call(self) -> Stream:
        assert self._call is not None
        return self._call

    # ---- StreamHandler

    def on_message(self, message: bytes, /) -> None:
        self._messages.append(message)
        if len(self._messages) >= WAITING_MESSAGES_MAX:
            self._running_call().pause_reading()

    def on_end(self) -> None:
        pass

    def on_drain(self) -> None:
        self._above_mark = False

    def on_close(self, error: int, /) -> None:
        self._over = True


class BlockingChannel:
    """Calls to one server over one connection."""

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
        self._endpoint = Endpoint(
            None,
            server=False,
            hooks=ClientHooks(),
            base_headers=client_call.base_headers(self.address, tls=ssl_context is not None),
            message_bytes_max=client_call.ANSWER_BYTES_MAX,
            stream_window_bytes=client_call.STREAM_WINDOW_BYTES,
            connection_window_bytes=client_call.CONNECTION_WINDOW_BYTES,
        )
        self._sock: socket.socket | None = None
        self._session: Session | None = None

    def connect(self, timeout: float | None = None) -> None:
        """Connect now (the first call does it otherwise), within `timeout` seconds, if that is less than the channel's.

        Raises EtcdError with code UNAVAILABLE.
        """
        if self._session is not None and self._session.alive and not self._session.draining:
            return
        self.close()
        session = Session(self._endpoint)
        try:
            self._sock = self._open_socket(min(timeout or self._connect_timeout, self._connect_timeout))
            self._session = session
            # A server that wants a certificate and got none may hang up only now.
            session.connection_made(_SocketTransport(self._sock))
        except OSError as error:
            self.close()
            client_call.raise_unavailable(self.address, error)

    def unary(self, path: bytes, message: bytes, timeout: float | None = None, metadata: Metadata = ()) -> bytes:
        """Make one call and return the answer's message. `timeout` in seconds covers all of it; raises EtcdError."""
        deadline = None if timeout is None else monotonic() + timeout
        call = self._wait_unary(path, message, deadline, metadata)
        if client_call.never_processed(call):
            self.close()
            call = self._wait_unary(path, message, deadline, metadata)
        return client_call.unary_result(call)

    def stream(self, path: bytes, metadata: Metadata = ()) -> BlockingStream:
        """Start a streaming call."""
        stream = BlockingStream(self)
        stream.attach(self._new_session().request(path, metadata, stream))
        self.push()
        return stream

    def close(self) -> None:
        """Close the connection; calls under way fail with UNAVAILABLE."""
        session, self._session = self._session, None
        sock, self._sock = self._sock, None
        if session is not None:
            session.connection_lost(None)
        if sock is not None:
            sock.close()

    def __enter__(self) -> BlockingChannel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- for the streams

    def push(self) -> None:
        """Send what is queued; dispatch what waits."""
        try:
            self._endpoint.flush()
        except OSError:
            self.close()

    def wait_input(self, deadline: float | None) -> None:
        """Read the socket once and dispatch. Raises TimeoutError at the deadline; a lost connection ends all calls."""
        self.push()
        if self._sock is None or self._session is None:
            return
        if deadline is not None:
            remaining = deadline - monotonic()
            if remaining <= 0:
                raise TimeoutError
            self._sock.settimeout(remaining)
        try:
            data = self._sock.recv(RECEIVE_BYTES)
            if data:
                self._session.data_received(data)
            if not data or not self._session.alive:
                self.close()
        except TimeoutError:
            if deadline is None:
                self.close()
                return
            raise
        except OSError:
            self.close()
        finally:
            if deadline is not None and self._sock is not None:
                self._sock.settimeout(None)

    def _new_session(self) -> Session:
        self.connect()
        assert self._session is not None
        return self._session

    def _wait_unary(self, path: bytes, message: bytes, deadline: float | None, metadata: Metadata) -> Stream:
        handler = _UnaryHandler()
        session = self._new_session()
        remaining = None if deadline is None else deadline - monotonic()
        call = session.request(path, client_call.with_timeout(metadata, remaining), handler, message, deadline or 0.0)
        try:
            while not handler.done:
                self.wait_input(deadline)
        except TimeoutError:
            self._endpoint.expire(monotonic())
            self.push()
        except BaseException:
            call.reset()
            self.push()
            raise
        return call

    def _open_socket(self, timeout: float) -> socket.socket:
        if self.address.unix_path:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(timeout)
            sock.connect(self.address.unix_path)
        else:
            sock = socket.create_connection((self.address.host, self.address.port), timeout=timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._ssl_context is not None:
            self._ssl_context.set_alpn_protocols(["h2"])
            sock = self._ssl_context.wrap_socket(sock, server_hostname=self._server_hostname)
        sock.settimeout(None)
        return sock
