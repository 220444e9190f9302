"""Connections to a discovery service with TLS, and through a proxy.

    service http  + proxy     the proxy is sent the whole URL
    service https + proxy     the proxy is asked to CONNECT; TLS with the service goes through what it opens
    proxy https               TLS with the proxy besides

v2 discovery has no flags for certificates: services and proxies are believed that an authority of the system signed, as
in etcd. SSL_CERT_FILE names other authorities, there and here.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from typing import Final
from urllib.parse import SplitResult, unquote

from etcdpy.transport.peer_http import PORTS, HttpFailed
from etcdpy.transport.tls import Credentials, TlsSettings

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

# The end of a proxy's answer to CONNECT.
HEAD_END: Final = b"\r\n\r\n"


class DiscoveryDialler:
    """Opens connections for `peer_http.fetch`."""

    def __init__(self, log: logging.Logger) -> None:
        self._credentials = Credentials(TlsSettings(), log)

    async def dial(self, server: SplitResult, target: SplitResult) -> Streams:
        """Connect to `target`; `server` is the proxy to go through, or the same. Raise OSError."""
        context = self._context if server.scheme == "https" else None
        reader, writer = await asyncio.open_connection(server.hostname, port_of(server), ssl=context)
        try:
            if server is not target and target.scheme == "https":
                await _tunnel(reader, writer, server, target)
                await writer.start_tls(self._context, server_hostname=target.hostname)
        except BaseException:
            writer.transport.abort()
            raise
        return reader, writer

    @property
    def _context(self) -> ssl.SSLContext:
        return self._credentials.client_context()


def port_of(url: SplitResult) -> int:
    return url.port or PORTS[url.scheme]


def proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    """Return the header for the user whom a proxy's URL names, if it does."""
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


async def _tunnel(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, proxy: SplitResult, target: SplitResult
) -> None:
    host = f"[{target.hostname}]" if ":" in (target.hostname or "") else target.hostname
    where = f"{host}:{port_of(target)}"
    fields = {"Host": where, **proxy_authorization(proxy)}
    lines = [f"CONNECT {where} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        head = await reader.readuntil(HEAD_END)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise HttpFailed(f"CONNECT {where}: {error}") from None
    status, _, reason = head.partition(b"\r\n")[0].partition(b" ")[2].decode("latin-1").partition(" ")
    if status != "200":
        raise HttpFailed(f"CONNECT {where}: {reason or status}")
