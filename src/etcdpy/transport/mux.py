"""One port, two protocols: the first bytes of a connection decide who serves it.

    accepted > (TLS handshake) > FirstBytes --- "PRI * HTTP/2.0" ---> the gRPC server's session
                                           \\--- anything else -----> the HTTP/1.1 server's protocol

Rules
  * Never more than the length of HTTP/2's preface is looked at; whatever was read is handed on with the decision.
  * A connection that says nothing is closed after 120 s (grpc-go's connection timeout).
  * Connections above the limit are closed at once. etcd leaves them in the kernel's queue; either way they are not
    served, and ours lets a client with several endpoints go on to the next.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Final, Protocol

from etcdpy.transport.tls import TlsServer

PREFACE: Final = b"PRI * HTTP/2.0"
FIRST_BYTES_SECONDS: Final = 120.0
# etcd's reservedInternalFDNum: what the member itself needs of its file descriptors.
RESERVED_FILE_DESCRIPTORS: Final = 150
CONNECTIONS_MIN: Final = 16


class ProtocolServer(Protocol):
    """Who serves connections of one kind: GrpcServer, HttpServer."""

    def connection(self) -> asyncio.Protocol:
        """Return the protocol object for a new connection."""

    def connection_count(self) -> int:
        """Return how many connections are open."""


def connections_max() -> int:
    """Return how many client connections the process's file descriptor limit allows."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 30
    return max(CONNECTIONS_MIN, soft - RESERVED_FILE_DESCRIPTORS)


class Mux:
    """The factory of a listener's protocols."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        http2: ProtocolServer | None,
        http1: ProtocolServer | None,
        tls: TlsServer | None = None,
        limit: int | None = None,
        first_bytes_seconds: float = FIRST_BYTES_SECONDS,
    ) -> None:
        self._loop = loop
        self._http2 = http2
        self._http1 = http1
        self._tls = tls
        self._limit = connections_max() if limit is None else limit
        self._first_bytes_seconds = first_bytes_seconds
        self.undecided: set[FirstBytes] = set()
        self.refused_count = 0

    def connection(self) -> asyncio.Protocol:
        """Return the protocol of a connection that was just accepted."""
        if self.connection_count() >= self._limit:
            self.refused_count += 1
            return _Refused()
        return FirstBytes(self) if self._tls is None else self._tls.connection(lambda: FirstBytes(self))

    def connection_count(self) -> int:
        """Return how many connections are open, whoever serves them."""
        counts = [server.connection_count() for server in (self._http2, self._http1) if server is not None]
        handshakes = len(self._tls.unfinished) if self._tls is not None else 0
        return handshakes + len(self.undecided) + sum(counts)

    def choose(self, seen: bytes) -> asyncio.Protocol | None:
        """Return who serves a connection that began with `seen`, or None: not known yet."""
        start = seen[: len(PREFACE)]
        if not PREFACE.startswith(start):
            return self._http1.connection() if self._http1 is not None else _Refused()
        if len(start) < len(PREFACE):
            return None
        return self._http2.connection() if self._http2 is not None else _Refused()

    def start_timer(self, connection: FirstBytes) -> asyncio.TimerHandle:
        """Return the timer that ends a silent connection."""
        return self._loop.call_later(self._first_bytes_seconds, connection.give_up)

    def close(self) -> None:
        """Close the connections that have not said who they are."""
        if self._tls is not None:
            self._tls.close()
        for connection in sorted(self.undecided, key=id):
            connection.give_up()


class FirstBytes(asyncio.Protocol):
    """A connection that has not yet said which protocol it speaks."""

    def __init__(self, mux: Mux) -> None:
        self._mux = mux
        self._seen = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._mux.undecided.add(self)
        self._timer = self._mux.start_timer(self)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._seen += data
        protocol = self._mux.choose(self._seen)
        if protocol is None:
            return
        self._leave()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._seen)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        self._leave()

    def give_up(self) -> None:
        """Close: nothing decisive was said in time."""
        if self._transport is not None:
            self._transport.abort()

    def _leave(self) -> None:
        self._mux.undecided.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Refused(asyncio.Protocol):
    """A connection that nobody serves."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
