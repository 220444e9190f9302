"""HTTP/1.1 as a client: one request, one answer, one connection. What members ask each other beside raft's streams.

    answer = await fetch("http://10.0.0.2:2380/members", timeout_seconds=10)
    answer.status, answer.headers["x-etcd-cluster-id"], answer.body

Whatever the other side does, the caller gets an answer of bounded size within the time allowed, or an OSError: refused
and cut connections, TimeoutError, HttpFailed for what is no HTTP or too much of it. Redirections are not followed and a
status is not judged; that is the caller's.

Of `unix://name:port/path` the part before the path names the socket, as Go's members have it; `unixs` is with TLS.

A request is some milliseconds of work in hours, so connections are not kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httptools

from etcdpy.transport.tls import TlsClient

# As much as our own server takes (transport.http1).
HEAD_BYTES_MAX: Final = 64 * 1024
# A thousand members with long URLs fit; the largest true answer (hashes, leases) has a few hundred bytes.
BODY_BYTES_MAX: Final = 1024 * 1024
# A chunk of one byte costs six: legal, and as bad as it may get.
OVERHEAD_PER_BODY_BYTE: Final = 8
READ_BYTES: Final = 16 * 1024
PORTS: Final = {"http": 80, "https": 443}
SECURE_SCHEMES: Final = ("https", "unixs")
SOCKET_SCHEMES: Final = ("unix", "unixs")

Dial = Callable[[SplitResult, SplitResult], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class HttpFailed(OSError):
    """The other side answered with what is no HTTP, or with too much of it; or the URL is none that can be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  # Names in lower case; of equal ones the last.
    body: bytes = b""


async def fetch(
    url: str,
    *,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float | None,
    body_bytes_max: int = BODY_BYTES_MAX,
    tls: TlsClient | None = None,
    proxy: str = "",
    dial: Dial | None = None,
) -> HttpAnswer:
    """Send one request and return its answer, whatever its status. Raise OSError when there is none.

    `https` needs `tls`. `proxy` is the URL of an HTTP proxy to send a plain `http` request through. Others connect by
    `dial`, which is given the server (the proxy, if there is one) and the target. Without `timeout_seconds` the answer
    may come at any time: for waits that end when something happens.
    """
    target = _split(url)
    server = _split(proxy) if proxy else target
    if dial is None:
        if target.scheme in SECURE_SCHEMES and (tls is None or proxy):
            raise HttpFailed(f"{method} {url}: TLS is not set up")
        dial = functools.partial(_connect, tls=tls)
    head = _head(target, method, body, headers or {}, is_proxied=bool(proxy) and target.scheme == "http")
    parser = _AnswerParser(body_bytes_max, has_body=method != "HEAD")
    async with asyncio.timeout(timeout_seconds):
        reader, writer = await dial(server, target)
        try:
            writer.write(head + body)
            # Not drained before reading: who refuses a long body answers without reading it.
            while not parser.is_complete:
                piece = await reader.read(READ_BYTES)
                parser.feed(piece)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    return parser.answer()


async def _connect(
    server: SplitResult, target: SplitResult, *, tls: TlsClient | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if server.scheme not in SECURE_SCHEMES:
        tls = None
    if server.scheme in SOCKET_SCHEMES:
        host, port = server.netloc, 0
    else:
        host, port = server.hostname or "", server.port or PORTS[server.scheme]
    if tls is None:
        return await (asyncio.open_connection(host, port) if port else asyncio.open_unix_connection(host))
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)

    def factory() -> _KnowsTransport:
        return _KnowsTransport(reader, loop=loop)

    protocol = await (tls.connect(host, port, factory) if port else tls.connect_unix(host, factory))
    return reader, asyncio.StreamWriter(protocol.transport, protocol, reader, loop)


class _KnowsTransport(asyncio.StreamReaderProtocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        super().connection_made(transport)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise HttpFailed(f"{url}: {error}") from None
    if parts.scheme not in PORTS and parts.scheme not in SOCKET_SCHEMES:
        raise HttpFailed(f'{url}: unsupported protocol scheme "{parts.scheme}"')
    if not parts.netloc if parts.scheme in SOCKET_SCHEMES else not parts.hostname or port == 0:
        raise HttpFailed(f"{url}: no host in request URL")
    return parts


def _head(target: SplitResult, method: str, body: bytes, headers: Mapping[str, str], *, is_proxied: bool) -> bytes:
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    host = target.netloc.rpartition("@")[2]
    fields = {"Host": host, "Connection": "close", **headers}
    if body or method != "GET":
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {f'http://{host}' if is_proxied else ''}{path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    if any(character in line for line in lines for character in "\r\n\0"):
        raise ValueError(f"a control character in the head of a request: {lines}")
    return "\r\n".join([*lines, "", ""]).encode()


class _AnswerParser:
    """Collects one answer and counts what it costs. httptools calls the `on_` methods."""

    def __init__(self, body_bytes_max: int, *, has_body: bool) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body_bytes_max = body_bytes_max
        self._has_body = has_body
        self._headers: dict[str, str] = {}
        self._body = bytearray()  # Invariant: at most _body_bytes_max.
        self._received_bytes = 0
        self._is_head_complete = False
        self._status = 0
        self.is_complete = False

    def feed(self, piece: bytes) -> None:
        """Take what was received; nothing means that the other side has closed. Raise HttpFailed."""
        if not piece:
            return self._end()
        self._received_bytes += len(piece)
        if not self._is_head_complete and self._received_bytes > HEAD_BYTES_MAX:
            raise HttpFailed(f"the head of an answer is longer than {HEAD_BYTES_MAX} bytes")
        if self._received_bytes > HEAD_BYTES_MAX + OVERHEAD_PER_BODY_BYTE * self._body_bytes_max:
            raise HttpFailed(f"an answer with a body of up to {self._body_bytes_max} bytes takes too many bytes")
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, HttpFailed):
                raise error.__context__ from None
            if not self.is_complete:
                raise HttpFailed(f"malformed HTTP answer: {error}") from None

    def _end(self) -> None:
        """A body without a length ends with the connection."""
        has_length = "content-length" in self._headers or "transfer-encoding" in self._headers
        if not self._is_head_complete or has_length:
            raise HttpFailed("the connection was closed before the answer was complete")
        self.is_complete = True

    def answer(self) -> HttpAnswer:
        return HttpAnswer(status=self._status, headers=self._headers, body=bytes(self._body))

    # -- called by httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_head_complete:  # no trailers
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        self._status = self._parser.get_status_code()
        if self._status < 200:  # 100 Continue: the answer is still to come
            self._headers.clear()
            return
        self._is_head_complete = True
        self.is_complete = not self._has_body

    def on_body(self, piece: bytes) -> None:
        if self.is_complete:
            return
        if len(self._body) + len(piece) > self._body_bytes_max:
            raise HttpFailed(f"the body of an answer is longer than {self._body_bytes_max} bytes")
        self._body += piece

    def on_message_complete(self) -> None:
        if self._is_head_complete:
            self.is_complete = True
