"""TLS of one member: what the flags say, turned into listeners' TLS servers and into how peers are reached.

    client side    --cert-file ...        client, client-http and metrics URLs with https
    peer side      --peer-cert-file ...   peer URLs with https; all connections to other members

Whoever has certificates and http URLs is told that the certificates are not used there.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from etcdpy.base.log import log_info, log_warn
from etcdpy.embed.config import Config
from etcdpy.embed.errors import StartError
from etcdpy.embed.self_signed import ensure_self_signed
from etcdpy.embed.urls import parse_url
from etcdpy.transport.peer.urls import PeerUrl
from etcdpy.transport.peer.world import PlainConnector
from etcdpy.transport.peer_http import fetch
from etcdpy.transport.tls import Credentials, HandshakeGate, TlsClient, TlsFilesError, TlsServer, TlsSettings
from etcdpy.transport.tls.ciphers import lacks_http2_suite

ProtocolT = TypeVar("ProtocolT", bound=asyncio.Protocol)

FIXTURES: Final = "fixtures"
# What ports offer that serve no gRPC: ours speak only HTTP/1.1 there.
ALPN_HTTP1: Final = ("http/1.1",)


class MemberTls:
    """Made before anything listens; raises StartError or OSError when files are missing or no good."""

    def __init__(self, config: Config, log: logging.Logger, loop: asyncio.AbstractEventLoop) -> None:
        self._log = log
        self._loop = loop
        peers = _of_peers(config, log)
        clients = _of_clients(config, log)
        self._warn_about_http(config, clients, peers)
        self._gate = HandshakeGate(loop)
        self.peers = Credentials(peers, log)
        self._clients = Credentials(clients, log)
        self._http1 = Credentials(clients, log, alpn=ALPN_HTTP1)
        self._client = TlsClient(self.peers, loop=loop)
        # How other members are asked something.
        self.fetch = functools.partial(fetch, tls=self._client)
        _check(self.peers)
        if _has_tls(config.listen_client_urls):
            _check(self._clients)
            _check_http2(clients)
        if _has_tls((*config.listen_client_http_urls, *config.listen_metrics_urls)):
            _check(self._http1)

    def peer_server(self, url: str) -> TlsServer | None:
        return self._server(self.peers, url, checks_addresses=True)

    def client_server(self, url: str) -> TlsServer | None:
        return self._server(self._clients, url, checks_addresses=False)

    def client_http_server(self, url: str) -> TlsServer | None:
        return self._server(self._http1, url, checks_addresses=False)

    def metrics_server(self, url: str) -> TlsServer | None:
        # etcd listens there as it does for peers: with a look at addresses.
        return self._server(self._http1, url, checks_addresses=True)

    def _server(self, credentials: Credentials, url: str, *, checks_addresses: bool) -> TlsServer | None:
        parsed = parse_url(url)
        if not parsed.is_secure:
            return None
        # Who comes through the file system has no address that could be looked for in a certificate.
        checks = checks_addresses and not parsed.is_socket
        return TlsServer(credentials, self._gate, loop=self._loop, log=self._log, checks_addresses=checks)

    def connector(self) -> TlsConnector:
        """Return how streams and posts to other members connect."""
        return TlsConnector(self._loop, self._client)

    # -- what is said of it

    def _warn_about_http(self, config: Config, clients: TlsSettings, peers: TlsSettings) -> None:
        for side, urls, kind, flag in (
            (peers, config.listen_peer_urls, "peer_url", "--peer-client-cert-auth"),
            (clients, config.listen_client_urls, "client_url", "--client-cert-auth"),
        ):
            if not side.is_empty and kind == "peer_url":
                log_info(self._log, "starting with peer TLS", tls_info=describe(side), cipher_suites=side.cipher_suites)
            for url in urls:
                if parse_url(url).is_secure:
                    continue
                if not side.is_empty:
                    text = "scheme is HTTP while key and cert files are present; ignoring key and cert files"
                    log_warn(self._log, text, **{kind: url})
                if side.client_cert_auth:
                    text = f"scheme is HTTP while {flag} is enabled; ignoring client cert auth for this URL"
                    log_warn(self._log, text, **{kind: url})


class TlsConnector:
    """Implements `transport.peer.world.Connector`: TLS where a URL says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: TlsClient) -> None:
        self._plain = PlainConnector(loop)
        self._client = client

    async def connect(self, url: PeerUrl, factory: Callable[[], ProtocolT]) -> ProtocolT:
        """Return the protocol that `factory` made, connected. Raise OSError."""
        if not url.is_secure:
            return await self._plain.connect(url, factory)
        if url.is_unix:
            return await self._client.connect_unix(url.host, factory)
        return await self._client.connect(url.host, url.port, factory)


def describe(settings: TlsSettings) -> str:
    """Return what etcd's log says of a side. Upstream: TLSInfo.String."""
    return (
        f"cert = {settings.cert_file}, key = {settings.key_file}, client-cert={settings.client_cert_file}, "
        f"client-key={settings.client_key_file}, trusted-ca = {settings.trusted_ca_file}, "
        f"client-cert-auth = {str(settings.client_cert_auth).lower()}, crl-file = {settings.crl_file}"
    )


def _of_clients(config: Config, log: logging.Logger) -> TlsSettings:
    settings = dataclasses.replace(
        _protocol(config),
        cert_file=config.cert_file,
        key_file=config.key_file,
        client_cert_file=config.client_cert_file,
        client_key_file=config.client_key_file,
        trusted_ca_file=config.trusted_ca_file,
        client_cert_auth=config.client_cert_auth,
        crl_file=config.client_crl_file,
        allowed_hostname=config.client_cert_allowed_hostname,
    )
    return _or_self_signed(settings, config, "client", config.listen_client_urls, log) if config.auto_tls else settings


def _of_peers(config: Config, log: logging.Logger) -> TlsSettings:
    settings = dataclasses.replace(
        _protocol(config),
        cert_file=config.peer_cert_file,
        key_file=config.peer_key_file,
        client_cert_file=config.peer_client_cert_file,
        client_key_file=config.peer_client_key_file,
        trusted_ca_file=config.peer_trusted_ca_file,
        client_cert_auth=config.peer_client_cert_auth,
        crl_file=config.peer_crl_file,
        allowed_cn=config.peer_cert_allowed_cn,
        allowed_hostname=config.peer_cert_allowed_hostname,
        skip_client_san_verification=config.peer_skip_client_san_verification,
    )
    return _or_self_signed(settings, config, "peer", config.listen_peer_urls, log) if config.peer_auto_tls else settings


def _protocol(config: Config) -> TlsSettings:
    """Return what both sides have in common: the suites and versions."""
    return TlsSettings(
        cipher_suites=config.cipher_suites,
        min_version=config.tls_min_version or TlsSettings().min_version,
        max_version=config.tls_max_version,
    )


def _or_self_signed(
    settings: TlsSettings, config: Config, name: str, urls: Sequence[str], log: logging.Logger
) -> TlsSettings:
    """Return the settings, or without certificates those of self-signed ones: of other flags nothing counts then."""
    if not settings.is_empty:
        log_warn(log, f"ignoring {name} auto TLS since certs given")
        return settings
    folder = Path(config.data_path) / FIXTURES / name
    cert, key = ensure_self_signed(
        folder,
        [parse_url(url).hostname for url in urls],
        years=config.self_signed_cert_validity_years,
        is_for_peers=name == "peer",
        log=log,
    )
    return dataclasses.replace(_protocol(config), cert_file=cert, key_file=key, is_self_signed=True)


def _has_tls(urls: Sequence[str]) -> bool:
    return any(parse_url(url).is_secure for url in urls)


def _check(credentials: Credentials) -> None:
    try:
        credentials.check()
    except TlsFilesError as error:
        raise StartError(str(error)) from None


def _check_http2(settings: TlsSettings) -> None:
    """Go's HTTP/2 server does not start without one of the suites that its standard asks for."""
    if lacks_http2_suite(settings.cipher_suites):
        raise StartError(
            "http2: TLSConfig.CipherSuites is missing an HTTP/2-required AES_128_GCM_SHA256 cipher (need at least one "
            "of TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)"
        )
