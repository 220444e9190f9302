"""The opening side: how one member connects to another. Its certificate must be one of the host that was asked for.

    protocol = await TlsClient(credentials, loop=loop).connect("10.0.0.2", 2380, factory)

What the flags say of names that peers must bear holds for the answering side, too, as in etcd.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from etcdpy.base.socket_name import certificate_name
from etcdpy.transport.tls.connection import TlsConnection
from etcdpy.transport.tls.credentials import Credentials
from etcdpy.transport.tls.reasons import handshake_reason
from etcdpy.transport.tls.server import check_allowed_name

ProtocolT = TypeVar("ProtocolT", bound=asyncio.Protocol)

# Opens a connection for the protocol that it is given.
_Dial = Callable[[Callable[[], TlsConnection]], Awaitable[object]]


class HandshakeFailed(ConnectionError):
    """The other side is not who it should be, or does not want us. `str()` is for the log."""


class TlsClient:
    """Opens connections with the files of the moment."""

    def __init__(self, credentials: Credentials, *, loop: asyncio.AbstractEventLoop) -> None:
        self.credentials = credentials
        self.loop = loop

    async def connect(self, host: str, port: int, factory: Callable[[], ProtocolT]) -> ProtocolT:
        """Return the protocol that `factory` made, connected. Raise OSError."""
        return await self._open(host, factory, lambda made: self.loop.create_connection(made, host, port))

    async def connect_unix(self, path: str, factory: Callable[[], ProtocolT]) -> ProtocolT:
        """The same through a socket of the file system, whose certificate bears the file's name up to a colon."""
        name = certificate_name(path)
        return await self._open(name, factory, lambda made: self.loop.create_unix_connection(made, path))

    async def _open(self, name: str, factory: Callable[[], ProtocolT], dial: _Dial) -> ProtocolT:
        opening = _Opening(self, name, factory)
        connection = TlsConnection(self.loop, opening, is_server=False)
        try:
            await dial(lambda: connection)
            return cast(ProtocolT, await opening.opened_app)
        except BaseException:
            opening.opened_app.cancel()
            connection.abort()
            raise


class _Opening:
    """A connection that is being opened, as its TlsConnection sees it. Implements `connection.Party`."""

    def __init__(self, client: TlsClient, host: str, factory: Callable[[], asyncio.Protocol]) -> None:
        self._client = client
        self._host = host
        self._factory = factory
        self.opened_app: asyncio.Future[asyncio.Protocol] = client.loop.create_future()

    def begin(self, connection: TlsConnection, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        context = self._client.credentials.client_context()
        return context.wrap_bio(incoming, outgoing, server_side=False, server_hostname=self._host)

    def may_shake(self, connection: TlsConnection) -> bool:
        return True

    def check(self, connection: TlsConnection) -> Callable[[], None] | None:
        check_allowed_name(self._client.credentials.settings, connection.get_extra_info("peercert") or {})
        return None

    def opened(self, connection: TlsConnection) -> asyncio.Protocol:
        app = self._factory()
        if self.opened_app.done():  # given up by who wanted it
            connection.abort()
        else:
            self.opened_app.set_result(app)
        return app

    def failed(self, connection: TlsConnection, error: BaseException) -> None:
        if not self.opened_app.done():
            self.opened_app.set_exception(HandshakeFailed(handshake_reason(error)))
