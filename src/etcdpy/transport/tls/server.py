"""The accepting side: who gets in, and who may have a place for his handshake.

    tls = TlsServer(credentials, gate, loop=loop, log=log, checks_addresses=True)
    tls.connection(mux.protocol)        a protocol for a connection that was just accepted

Checks, in etcd's order

    the handshake itself       a certificate of an authority that we know, where one is wanted
    allowed name               --peer-cert-allowed-cn, or -hostname
    addresses of peers         the certificate's addresses and names against where the connection comes from
    revocation                 serial numbers against the list

OpenSSL has finished the handshake before ours can be made, so who is refused by them sees the connection end, where
etcd's peers see an alert for a name that is not allowed.

Upstream: client/pkg/transport, listener_tls.go and listener.go.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from etcdpy.base.log import log_warn
from etcdpy.transport.tls.addresses import check_address
from etcdpy.transport.tls.connection import TlsConnection, TlsRefused
from etcdpy.transport.tls.credentials import Credentials
from etcdpy.transport.tls.gate import HandshakeGate
from etcdpy.transport.tls.names import alternative_names, common_name, is_name_valid
from etcdpy.transport.tls.reasons import handshake_reason
from etcdpy.transport.tls.revocation import Revoked, chain_serials
from etcdpy.transport.tls.settings import TlsSettings


class TlsServer:
    """Of one listener."""

    def __init__(
        self,
        credentials: Credentials,
        gate: HandshakeGate,
        *,
        loop: asyncio.AbstractEventLoop,
        log: logging.Logger,
        checks_addresses: bool,
    ) -> None:
        self._credentials = credentials
        self._gate = gate
        self._loop = loop
        self._log = log
        self._checks_addresses = checks_addresses and not credentials.settings.skip_client_san_verification
        self.unfinished: set[_Accepted] = set()  # Connections whose handshake is not over.

    def connection(self, make_app: Callable[[], asyncio.Protocol]) -> TlsConnection:
        """Return the protocol of a connection that was just accepted."""
        accepted = _Accepted(self, make_app)
        accepted.connection = TlsConnection(self._loop, accepted, is_server=True)
        return accepted.connection

    def close(self) -> None:
        """Drop those that are still shaking hands."""
        for accepted in sorted(self.unfinished, key=id):
            accepted.drop()

    # -- for _Accepted

    def context(self) -> ssl.SSLContext:
        return self._credentials.server_context()

    def may_shake(self, connection: TlsConnection) -> bool:
        return self._gate.enter(connection)

    def leave(self, connection: TlsConnection) -> None:
        self._gate.leave(connection)

    def check(self, connection: TlsConnection) -> Callable[[], None] | None:
        tls = connection.get_extra_info("ssl_object")
        certificate: dict[str, Any] = tls.getpeercert() or {}
        check_allowed_name(self._credentials.settings, certificate)
        later: Callable[[], None] | None = None
        if self._checks_addresses and certificate:
            address = (connection.get_extra_info("peername") or ("",))[0]
            later = check_address(certificate, str(address))
        if self._credentials.revoked is not None and certificate:
            try:
                self._credentials.revoked.check(chain_serials(tls))
            except Revoked as error:
                raise TlsRefused(str(error)) from None
        return later

    def log_refusal(self, connection: TlsConnection, error: BaseException) -> None:
        tls = connection.get_extra_info("ssl_object")
        fields: dict[str, object] = {}
        certificate = _certificate_of(tls)
        if certificate:
            names = alternative_names(certificate)
            fields = {"ip_addresses": names.addresses, "dns_names": names.dns}
        peer = connection.get_extra_info("peername")
        where = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else ""
        log_warn(
            self._log, "rejected connection", remote_addr=where, server_name="", **fields, error=handshake_reason(error)
        )


def _certificate_of(tls: ssl.SSLObject | None) -> dict[str, Any]:
    try:
        found: Any = tls.getpeercert() if tls is not None else None
    except ValueError:  # before the handshake is over
        return {}
    return found or {}


def check_allowed_name(settings: TlsSettings, certificate: Mapping[str, Any]) -> None:
    """Raise TlsRefused unless the certificate bears the name that it must."""
    if settings.allowed_cn and common_name(certificate) != settings.allowed_cn:
        raise TlsRefused("client certificate authentication failed")
    if settings.allowed_hostname and not is_name_valid(certificate, settings.allowed_hostname):
        raise TlsRefused("client certificate authentication failed")


class _Accepted:
    """A connection of a server, as its TlsConnection sees it. Implements `connection.Party`."""

    def __init__(self, server: TlsServer, make_app: Callable[[], asyncio.Protocol]) -> None:
        self._server = server
        self._make_app = make_app
        self.connection: TlsConnection | None = None
        server.unfinished.add(self)

    def begin(self, connection: TlsConnection, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        return self._server.context().wrap_bio(incoming, outgoing, server_side=True)

    def may_shake(self, connection: TlsConnection) -> bool:
        return self._server.may_shake(connection)

    def check(self, connection: TlsConnection) -> Callable[[], None] | None:
        return self._server.check(connection)

    def opened(self, connection: TlsConnection) -> asyncio.Protocol:
        self._leave(connection)
        return self._make_app()

    def failed(self, connection: TlsConnection, error: BaseException) -> None:
        self._leave(connection)
        self._server.log_refusal(connection, error)

    def drop(self) -> None:
        if self.connection is not None:
            self.connection.abort()

    def _leave(self, connection: TlsConnection) -> None:
        self._server.unfinished.discard(self)
        self._server.leave(connection)
        # Nothing may point to itself: what a handshake holds goes with the connection, not with the next collection.
        self.connection = None
