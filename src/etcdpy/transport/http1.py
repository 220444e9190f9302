"""HTTP/1.1 for the ASGI applications: uvicorn's httptools protocol behind a guard that counts what a request may cost.

httptools keeps a header that never ends for as long as bytes come (200 MB were accepted when tried), and uvicorn
queues every pipelined request. So bytes reach the parser in pieces of at most 4 KiB while a head is open, and are
counted before:

    head     64 KiB, and 10 s from its first byte (or from the connection's beginning)
    body     BODY_BYTES_MAX for the application; chunk headers and trailers count as overhead, bounded too
    pipeline 64 requests waiting

The application itself sees ordinary ASGI, and in the scope's state the common name of the client's certificate.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any, Final

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

HEAD_BYTES_MAX: Final = 64 * 1024
HEAD_SECONDS_MAX: Final = 10.0
# The largest gRPC message (2 MiB), in base64 and JSON around it.
BODY_BYTES_MAX: Final = 4 * 1024 * 1024
PIECE_BYTES: Final = 4 * 1024
PIPELINED_MAX: Final = 64
# A chunk costs at least five: nobody who means well sends chunks of less than five bytes on average.
OVERHEAD_PER_BODY_BYTE: Final = 1
# How long the bytes of one read may be parsed before other connections have their turn.
PARSE_SECONDS_MAX: Final = 0.002
# Go's server keeps an idle connection for ever; uvicorn wants a number.
KEEP_ALIVE_SECONDS: Final = 300

ANSWERS: Final = {
    408: b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    413: b"HTTP/1.1 413 Request Entity Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    431: b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
}


class HttpServer:
    """All HTTP/1.1 connections of one application."""

    def __init__(
        self,
        app: Any,
        *,
        loop: asyncio.AbstractEventLoop,
        body_bytes_max: int = BODY_BYTES_MAX,
        head_seconds_max: float = HEAD_SECONDS_MAX,
        socket_prefixes: tuple[bytes, ...] = (),
    ) -> None:
        """WebSockets are opened below `socket_prefixes`; elsewhere a request for one is answered as any other."""
        self._loop = loop
        self.socket_prefixes = socket_prefixes
        self._config = Config(
            app,
            http="httptools",
            ws="websockets-sansio" if socket_prefixes else "none",
            ws_max_size=body_bytes_max,
            # As etcd: no pings of ours, nothing compressed.
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._config.load()
        self._state = ServerState()
        self.body_bytes_max = body_bytes_max
        self.head_seconds_max = head_seconds_max

    def connection(self) -> GuardedHttp:
        """Return the protocol of a new connection."""
        return GuardedHttp(self, self._config, self._state, self._loop)

    def connection_count(self) -> int:
        """Return how many connections are open."""
        return len(self._state.connections)

    def close_gracefully(self) -> None:
        """Close idle connections now, the others after their current answer."""
        for connection in sorted(self._state.connections, key=id):
            connection.shutdown()

    def abort(self) -> None:
        """Drop every connection now."""
        for connection in sorted(self._state.connections, key=id):
            transport = connection.transport
            if transport is not None:
                transport.abort()


class GuardedHttp(HttpToolsProtocol):
    """uvicorn's protocol with limits on what one request may cost."""

    def __init__(self, server: HttpServer, config: Config, state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config=config, server_state=state, app_state={}, _loop=loop)
        self._server = server
        self._in_head = True
        self._head_bytes = 0
        self._body_bytes = 0
        self._bytes_after_head = 0
        self._cut_off = False
        self._rest = b""  # of what was read, for the loop's next turns
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # Copied into the scope of every request, and of WebSockets.
        self.app_state["common_name"] = transport.get_extra_info("common_name")
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._rest = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            self._rest += data  # somebody resumed reading meanwhile
            self.transport.pause_reading()
            return
        at, until = 0, monotonic() + PARSE_SECONDS_MAX
        while at < len(data) and not self._cut_off and not self.transport.is_closing():
            piece = data[at : at + PIECE_BYTES] if len(data) > PIECE_BYTES else data
            at += len(piece)
            self._feed(piece)
            if monotonic() > until and at < len(data):
                self._rest = data[at:]
                self.transport.pause_reading()
                self.loop.call_soon(self._go_on)
                return

    def _go_on(self) -> None:
        rest, self._rest = self._rest, b""
        if self.transport.is_closing():
            return
        self.data_received(rest)
        if not self._rest and not self.flow.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _feed(self, piece: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(piece)
            if self._head_bytes > HEAD_BYTES_MAX:
                return self._cut(431)
        else:
            self._bytes_after_head += len(piece)
        super().data_received(piece)
        overhead = self._bytes_after_head - self._body_bytes
        if overhead > HEAD_BYTES_MAX + OVERHEAD_PER_BODY_BYTE * self._body_bytes:
            return self._cut(431)
        if len(self.pipeline) > PIPELINED_MAX:
            return self._cut(413)
        if not self._in_head or self._head_bytes == 0:
            self._stop_head_timer()
        elif self._head_timer is None:
            self._start_head_timer()

    # ---- the parser's callbacks

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._body_bytes = 0
        self._bytes_after_head = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._server.body_bytes_max:
            self._cut(413)
        if not self._cut_off:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._body_bytes = 0
        self._bytes_after_head = 0
        super().on_message_complete()

    def _should_upgrade(self) -> bool:
        return self.url.startswith(self._server.socket_prefixes) and super()._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """A request for a WebSocket where there is none is an ordinary request."""

    # ---- ends

    def _cut(self, status: int) -> None:
        """Say why, unless an answer is already on its way, and hang up."""
        if self._cut_off:
            return
        self._cut_off = True
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(ANSWERS[status])
        self.transport.close()

    def _start_head_timer(self) -> None:
        self._stop_head_timer()
        self._head_timer = self.loop.call_later(self._server.head_seconds_max, self._cut, 408)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
