"""The synchronous client: blocking calls, one thread, no event loop. Command line tools stand on it.

    call > round robin over the endpoints: the next one that is connected or can be connected
         > failed? `retry` says whether the call is made again, elsewhere

Rules
  * A client belongs to one thread. Threads that want to call at the same time take a client each.
  * Nothing is dialled before the first call. An endpoint that refuses is left alone until all have refused; then the
    client waits, longer each time, until the call's deadline (for ever when it has none, as etcd's client does).
  * With a user, the first call authenticates; an expired token is renewed once per call.
  * Every failed attempt is told to `report`, with the status as it came; the caller gets `errors.client_error` of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import random
from typing import TYPE_CHECKING, Final

from google.protobuf.message import Message

from etcdpy.base.errors import (
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    AuthNotEnabled,
    AuthOldRevision,
    EtcdError,
    InvalidAuthToken,
)
from etcdpy.base.version import VERSION
from etcdpy.client import errors, method, retry
from etcdpy.client.endpoint import Endpoint
from etcdpy.client.method import Answer, Method
from etcdpy.client.nouns import Auth, Cluster, Kv, Leases, Maintenance
from etcdpy.pb import rpc_pb2 as rpc
from etcdpy.transport.grpc.blocking import BlockingChannel, BlockingStream

if TYPE_CHECKING:
    import ssl

    from etcdpy.client.watch import Watcher

# As etcd's client: what a request may weigh before it is not even sent.
SEND_BYTES_MAX: Final = 2 * 1024 * 1024
DIAL_SECONDS_DEFAULT: Final = 2.0
COMMAND_SECONDS_DEFAULT: Final = 5.0
# After this long a connection is looked at before it is used. The look costs about a millisecond.
IDLE_SECONDS: Final = 0.05
LOOK_SECONDS: Final = 0.001
# Where a timeout is asked for and none was given: the client's own (None means: wait for ever).
USE_DEFAULT: Final = -1.0

Report = Callable[[int, EtcdError], None]


def check_size(body: bytes) -> None:
    """Refuse what the server would refuse less clearly."""
    if len(body) > SEND_BYTES_MAX:
        raise EtcdError(
            f"trying to send message larger than max ({len(body)} vs. {SEND_BYTES_MAX})", RESOURCE_EXHAUSTED
        )


def call_metadata(token: bytes) -> list[tuple[bytes, bytes]]:
    """Return the header fields of every call."""
    fields = [(b"client-api-version", VERSION.encode())]
    return [*fields, (b"token", token)] if token else fields


def stream_metadata(token: bytes, *, needs_leader: bool) -> list[tuple[bytes, bytes]]:
    """Return the header fields of a streaming call; one that needs a leader is ended when there is none."""
    fields = call_metadata(token)
    return [*fields, (b"hasleader", b"true")] if needs_leader else fields


def is_stale_token(error: EtcdError) -> bool:
    """Whether a new token would help."""
    return error.text in (InvalidAuthToken.text, AuthOldRevision.text)


class _Channel(BlockingChannel):
    """A channel that can say whether it is connected."""

    @property
    def is_connected(self) -> bool:
        return self._session is not None and self._session.alive and not self._session.draining


class Connection:
    """One endpoint and its channel."""

    __slots__ = ("endpoint", "channel", "_dial_seconds", "_used_at")

    def __init__(self, endpoint: Endpoint, dial_seconds: float, ssl_context: ssl.SSLContext | None) -> None:
        self.endpoint = endpoint
        self._dial_seconds = dial_seconds
        self._used_at = time.monotonic()
        use_tls = endpoint.uses_tls(ssl_context is not None)
        if use_tls and ssl_context is None:
            import ssl

            ssl_context = ssl.create_default_context()
        self.channel = _Channel(
            endpoint.address, connect_timeout=dial_seconds, ssl_context=ssl_context if use_tls else None
        )

    def connect(self, deadline: float | None) -> None:
        """Connect unless connected, until `deadline` at the latest; raises EtcdError in the words of Go's dialer."""
        now = time.monotonic()
        if now - self._used_at > IDLE_SECONDS:
            self._notice_loss(now)
        self._used_at = now
        if self.channel.is_connected:
            return
        seconds = self._dial_seconds if deadline is None else min(self._dial_seconds, max(deadline - now, LOOK_SECONDS))
        try:
            self.channel.connect(seconds)
        except EtcdError as error:
            raise errors.dial_error(self.endpoint.shown, self.endpoint.network, error.__cause__) from error
        self._wait_settings(now + seconds)

    def _wait_settings(self, deadline: float) -> None:
        """Wait for the server's first bytes. Before they came nothing says that an HTTP/2 server is there at all, and a
        call that is lost with such a connection would look as if it might have been carried out."""
        try:
            self.channel.wait_input(deadline)
        except TimeoutError:
            self.channel.close()
        if not self.channel.is_connected:
            raise EtcdError("connection closed", UNAVAILABLE)

    def _notice_loss(self, now: float) -> None:
        """Read what came while nobody looked. Nothing tells a blocking client that the server has closed an idle
        connection, and a write that is lost with it could not be repeated."""
        try:
            self.channel.wait_input(now + LOOK_SECONDS)
        except TimeoutError:
            pass


class Client:
    """One cluster, seen through one or more of its members."""

    def __init__(
        self,
        endpoints: Sequence[str] = ("127.0.0.1:2379",),
        *,
        dial_timeout: float = DIAL_SECONDS_DEFAULT,
        command_timeout: float | None = COMMAND_SECONDS_DEFAULT,
        ssl_context: ssl.SSLContext | None = None,
        user: bytes = b"",
        password: bytes = b"",
        report: Report | None = None,
    ) -> None:
        if not endpoints:
            raise EtcdError(errors.NO_ENDPOINTS_TEXT, UNAVAILABLE)
        self.endpoints = [Endpoint(text) for text in endpoints]
        self._dial_timeout = dial_timeout
        self._command_timeout = command_timeout
        self._ssl_context = ssl_context
        self._user = user
        self._password = password
        self._report = report
        self._connections: list[Connection | None] = [None] * len(self.endpoints)
        self._turn = 0
        # None: not authenticated yet. b"": the cluster wants no authentication (or no user was given).
        self._token: bytes | None = None if user else b""
        self.kv = Kv(self)
        self.lease = Leases(self)
        self.cluster = Cluster(self)
        self.maintenance = Maintenance(self)
        self.auth = Auth(self)

    def watch(self, request: rpc.WatchCreateRequest) -> Watcher:
        """Watch a range; build the request with `etcdpy.client.request.watch_request`."""
        from etcdpy.client.watch import Watcher

        return Watcher(self, request)

    def call(self, target: Method[Answer], request: Message, timeout: float | None = USE_DEFAULT) -> Answer:
        """Make one unary call, again where that is safe. `timeout` in seconds covers all attempts."""
        deadline = self.deadline(timeout)
        body = request.SerializeToString()
        attempts = 0
        renewed = False
        while True:
            try:
                check_size(body)
                return target.answer.FromString(self._attempt(target.path, body, deadline))
            except EtcdError as error:
                self.tell(attempts, error)
                attempts += 1
                if not renewed and self._token and is_stale_token(error):
                    self._token = None
                    renewed = True
                elif not retry.may_retry(error, repeatable=target.repeatable, attempts=attempts):
                    raise errors.client_error(error) from None
                self._pause(
                    retry.pause_seconds(attempts=attempts, endpoints=len(self.endpoints), chance=random()), deadline
                )

    def open_stream(self, path: bytes, deadline: float | None = None, *, needs_leader: bool = True) -> BlockingStream:
        """Start a streaming call on the next endpoint; raises the status unmapped."""
        metadata = stream_metadata(self._current_token(deadline), needs_leader=needs_leader)
        return self._connected(deadline).channel.stream(path, metadata)

    def authenticate(self, timeout: float | None = USE_DEFAULT) -> None:
        """Get a token now (the first call does it otherwise). A cluster without authentication is fine."""
        request = rpc.AuthenticateRequest(name=self._user, password=self._password)
        self._token = b""
        try:
            self._token = self.call(method.AUTH_AUTHENTICATE, request, timeout).token
        except AuthNotEnabled:
            pass
        except EtcdError:
            self._token = None
            raise

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            if connection is not None:
                connection.channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def deadline(self, timeout: float | None) -> float | None:
        """Return the moment at which a call that starts now is given up."""
        seconds = self._command_timeout if timeout == USE_DEFAULT else timeout
        return None if seconds is None else time.monotonic() + seconds

    def tell(self, attempts: int, error: EtcdError) -> None:
        if self._report is not None:
            self._report(attempts, error)

    def _attempt(self, path: bytes, body: bytes, deadline: float | None) -> bytes:
        metadata = call_metadata(self._current_token(deadline))
        channel = self._connected(deadline).channel
        remaining = None if deadline is None else deadline - time.monotonic()
        return channel.unary(path, body, remaining, metadata)

    def _current_token(self, deadline: float | None) -> bytes:
        if self._token is None:
            self.authenticate(None if deadline is None else max(deadline - time.monotonic(), 0.0))
        return self._token or b""

    def _connected(self, deadline: float | None) -> Connection:
        """Return the next endpoint in turn that has a connection; wait for one until the deadline."""
        last_error: EtcdError | None = None
        rounds = 0
        while True:
            for _ in self.endpoints:
                if deadline is not None and time.monotonic() >= deadline:
                    raise errors.wait_error(last_error)
                connection = self._next_connection()
                try:
                    connection.connect(deadline)
                    return connection
                except EtcdError as error:
                    last_error = error
            self._pause(retry.reconnect_seconds(rounds), deadline)
            rounds += 1

    def _next_connection(self) -> Connection:
        at = self._turn % len(self.endpoints)
        self._turn += 1
        connection = self._connections[at]
        if connection is None:
            connection = Connection(self.endpoints[at], self._dial_timeout, self._ssl_context)
            self._connections[at] = connection
        return connection

    @staticmethod
    def _pause(seconds: float, deadline: float | None) -> None:
        if deadline is not None:
            seconds = min(seconds, deadline - time.monotonic())
        if seconds > 0:
            time.sleep(seconds)
