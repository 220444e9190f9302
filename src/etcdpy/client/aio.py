"""The asynchronous client. Same nouns, rules and errors as the synchronous one (see `client`).

Any number of tasks of one event loop may use it at the same time; connections are shared. Watches, leases kept alive
and snapshots are async iterators.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from random import random
from typing import TYPE_CHECKING

from google.protobuf.message import Message

from etcdpy.base.errors import UNAVAILABLE, AuthNotEnabled, EtcdError
from etcdpy.client import errors, method, retry
from etcdpy.client.aio_nouns import Auth, Cluster, Kv, Leases, Maintenance
from etcdpy.client.client import (
    COMMAND_SECONDS_DEFAULT,
    DIAL_SECONDS_DEFAULT,
    USE_DEFAULT,
    Report,
    call_metadata,
    check_size,
    is_stale_token,
    stream_metadata,
)
from etcdpy.client.endpoint import Endpoint
from etcdpy.client.method import Answer, Method
from etcdpy.pb import rpc_pb2 as rpc
from etcdpy.transport.grpc.channel import Channel, ClientStream

if TYPE_CHECKING:
    import ssl

    from etcdpy.client.aio_watch import AsyncWatcher


class AsyncConnection:
    """One endpoint and its channel."""

    __slots__ = ("endpoint", "channel")

    def __init__(self, endpoint: Endpoint, dial_seconds: float, ssl_context: ssl.SSLContext | None) -> None:
        self.endpoint = endpoint
        use_tls = endpoint.uses_tls(ssl_context is not None)
        if use_tls and ssl_context is None:
            import ssl

            ssl_context = ssl.create_default_context()
        self.channel = Channel(
            endpoint.address, connect_timeout=dial_seconds, ssl_context=ssl_context if use_tls else None
        )

    async def connect(self) -> None:
        """Connect unless connected; raises EtcdError in the words of Go's dialer."""
        try:
            await self.channel.connect()
        except EtcdError as error:
            raise errors.dial_error(self.endpoint.shown, self.endpoint.network, error.__cause__) from error


class AsyncClient:
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
        self._connections: list[AsyncConnection | None] = [None] * len(self.endpoints)
        self._turn = 0
        # None: not authenticated yet. b"": the cluster wants no authentication (or no user was given).
        self._token: bytes | None = None if user else b""
        self._authenticating = asyncio.Lock()
        self.kv = Kv(self)
        self.lease = Leases(self)
        self.cluster = Cluster(self)
        self.maintenance = Maintenance(self)
        self.auth = Auth(self)

    def watch(self, request: rpc.WatchCreateRequest) -> AsyncWatcher:
        """Watch a range; build the request with `etcdpy.client.request.watch_request`."""
        from etcdpy.client.aio_watch import AsyncWatcher

        return AsyncWatcher(self, request)

    async def call(self, target: Method[Answer], request: Message, timeout: float | None = USE_DEFAULT) -> Answer:
        """Make one unary call, again where that is safe. `timeout` in seconds covers all attempts."""
        deadline = self.deadline(timeout)
        body = request.SerializeToString()
        attempts = 0
        renewed = False
        while True:
            try:
                check_size(body)
                return target.answer.FromString(await self._attempt(target.path, body, deadline))
            except EtcdError as error:
                if self._report is not None:
                    self._report(attempts, error)
                attempts += 1
                if not renewed and self._token and is_stale_token(error):
                    self._token = None
                    renewed = True
                elif not retry.may_retry(error, repeatable=target.repeatable, attempts=attempts):
                    raise errors.client_error(error) from None
                await self._pause(
                    retry.pause_seconds(attempts=attempts, endpoints=len(self.endpoints), chance=random()), deadline
                )

    async def open_stream(
        self, path: bytes, deadline: float | None = None, *, needs_leader: bool = True
    ) -> ClientStream:
        """Start a streaming call on the next endpoint; raises the status unmapped."""
        token = await self._current_token(deadline)
        connection = await self._connected(deadline)
        return await connection.channel.stream(path, stream_metadata(token, needs_leader=needs_leader))

    async def authenticate(self, timeout: float | None = USE_DEFAULT) -> None:
        """Get a token now (the first call does it otherwise). A cluster without authentication is fine."""
        request = rpc.AuthenticateRequest(name=self._user, password=self._password)
        deadline = self.deadline(timeout)
        try:
            connection = await self._connected(deadline)
            remaining = None if deadline is None else deadline - time.monotonic()
            body = await connection.channel.unary(
                method.AUTH_AUTHENTICATE.path, request.SerializeToString(), remaining, call_metadata(b"")
            )
        except EtcdError as error:
            if error.text != AuthNotEnabled.text:
                raise
            self._token = b""
        else:
            self._token = rpc.AuthenticateResponse.FromString(body).token

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            if connection is not None:
                connection.channel.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def deadline(self, timeout: float | None) -> float | None:
        """Return the moment at which a call that starts now is given up."""
        seconds = self._command_timeout if timeout == USE_DEFAULT else timeout
        return None if seconds is None else time.monotonic() + seconds

    async def _attempt(self, path: bytes, body: bytes, deadline: float | None) -> bytes:
        token = await self._current_token(deadline)
        connection = await self._connected(deadline)
        remaining = None if deadline is None else deadline - time.monotonic()
        return await connection.channel.unary(path, body, remaining, call_metadata(token))

    async def _current_token(self, deadline: float | None) -> bytes:
        if self._token is None:
            async with self._authenticating:
                if self._token is None:
                    await self.authenticate(None if deadline is None else max(deadline - time.monotonic(), 0.0))
        return self._token or b""

    async def _connected(self, deadline: float | None) -> AsyncConnection:
        """Return the next endpoint in turn that has a connection; wait for one until the deadline."""
        last_error: EtcdError | None = None
        rounds = 0
        while True:
            for _ in self.endpoints:
                if deadline is not None and time.monotonic() >= deadline:
                    raise errors.wait_error(last_error)
                connection = self._next_connection()
                try:
                    async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                        await connection.connect()
                    return connection
                except EtcdError as error:
                    last_error = error
                except TimeoutError:
                    break  # it is too late for any other, too
            await self._pause(retry.reconnect_seconds(rounds), deadline)
            rounds += 1

    def _next_connection(self) -> AsyncConnection:
        at = self._turn % len(self.endpoints)
        self._turn += 1
        connection = self._connections[at]
        if connection is None:
            connection = AsyncConnection(self.endpoints[at], self._dial_timeout, self._ssl_context)
            self._connections[at] = connection
        return connection

    @staticmethod
    async def _pause(seconds: float, deadline: float | None) -> None:
        if deadline is not None:
            seconds = min(seconds, deadline - time.monotonic())
        if seconds > 0:
            await asyncio.sleep(seconds)
