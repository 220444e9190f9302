"""HTTP/2 requests that are no gRPC, given to an ASGI application: what curl sends over TLS, where it picks h2.

    session > stream opened > HttpBridge > one task for the application > start_plain, write ..., finish

The same application answers HTTP/1.1 in `http1`; it sees ordinary ASGI here, too. Without TLS such requests are
refused, as in etcd.

Rules
  * Bodies are at most as long as in HTTP/1.1; more is answered with 413.
  * The application waits while the client does not read, and the client's window closes while the application does not.
  * What the application raises is our bug: 500, and the loop's exception handler gets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from etcdpy.transport.grpc.server import GrpcServer
from etcdpy.transport.http1 import BODY_BYTES_MAX
from etcdpy.transport.http2._nghttp2 import Session, Stream

Event = MutableMapping[str, Any]
AsgiApp = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[None]
]

# Fields of a connection, which HTTP/2 does not know.
DROPPED_FIELDS: Final = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"date"})
INTERNAL_ERROR: Final = 2


class BridgedGrpc:
    """A ProtocolServer for a mux: gRPC, and an application for the rest."""

    def __init__(self, grpc: GrpcServer, bridge: HttpBridge) -> None:
        self._grpc = grpc
        self._bridge = bridge

    def connection(self) -> Session:
        session = self._grpc.connection()
        session.bridge = self._bridge.open
        return session

    def connection_count(self) -> int:
        return self._grpc.connection_count()


class HttpBridge:
    """Of one application."""

    def __init__(self, app: AsgiApp, *, loop: asyncio.AbstractEventLoop, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()  # Bounded by the sessions' streams.

    def open(self, call: Stream) -> _Exchange:
        """Begin a request; return who is told of what comes."""
        exchange = _Exchange(call, self._body_bytes_max)
        task = self._loop.create_task(self._answer(exchange))
        exchange.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return exchange

    def close(self) -> None:
        """End what is being answered."""
        for task in sorted(self._tasks, key=id):
            task.cancel()

    async def _answer(self, exchange: _Exchange) -> None:
        try:
            await self._app(exchange.scope(), exchange.receive, exchange.send)
        except Exception as error:
            exchange.fail()
            self._loop.call_exception_handler({"message": "an HTTP application failed", "exception": error})
        else:
            exchange.end()


class _Exchange:
    """One request and its answer. Implements `grpc.call.StreamHandler`."""

    def __init__(self, call: Stream, body_bytes_max: int) -> None:
        self._call = call
        self._body_bytes_max = body_bytes_max
        self._fields = call.headers()
        self._method = next((value for name, value in self._fields if name == b":method"), b"GET").decode("latin-1")
        self._body: list[bytes] = []  # Invariant: at most one window's worth, for reading pauses.
        self._body_bytes = 0
        self._has_ended = self._is_lost = self._is_started = self._is_finished = False
        self._changed = asyncio.Event()
        self._drained = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def scope(self) -> Event:
        path, _, query = self._call.path.partition(b"?")
        headers = [(name, value) for name, value in self._fields if not name.startswith(b":")]
        headers += [(b"host", value) for name, value in self._fields if name == b":authority"]
        host, _, port = self._call.peer.rpartition(":")
        name = self._call.peer_common_name()
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "2",
            "method": self._method,
            "scheme": "https",
            "path": _unquote(path),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": (host, int(port)) if port.isdigit() else None,
            "server": None,
            "state": {"common_name": None if name is None else name.decode()},
        }

    # -- the session's calls

    def on_message(self, message: bytes, /) -> None:
        self._body_bytes += len(message)
        if self._body_bytes > self._body_bytes_max:
            self._refuse(b"413")
            return
        self._body.append(message)
        self._call.pause_reading()
        self._changed.set()

    def on_end(self) -> None:
        self._has_ended = True
        self._changed.set()

    def on_close(self, error: int, /) -> None:
        self._is_lost = True
        self._changed.set()
        self._drained.set()
        if error and self.task is not None:
            self.task.cancel()

    def on_drain(self) -> None:
        self._drained.set()

    # -- the application's calls

    async def receive(self) -> Event:
        while not (self._body or self._has_ended or self._is_lost):
            self._changed.clear()
            await self._changed.wait()
        if self._body:
            body, self._body = b"".join(self._body), []
            self._call.resume_reading()
            return {"type": "http.request", "body": body, "more_body": True}
        if self._has_ended and not self._is_finished and not self._is_lost:
            self._has_ended = False
            return {"type": "http.request", "body": b"", "more_body": False}
        while not self._is_lost:
            self._changed.clear()
            await self._changed.wait()
        return {"type": "http.disconnect"}

    async def send(self, event: Event) -> None:
        if self._is_finished or self._is_lost:
            return
        if event["type"] == "http.response.start":
            fields = [(bytes(name).lower(), bytes(value)) for name, value in event.get("headers", ())]
            kept = [field for field in fields if field[0] not in DROPPED_FIELDS]
            self._start(str(event["status"]).encode(), kept)
            return
        body = bytes(event.get("body", b""))
        self._drained.clear()
        if body and self._method != "HEAD" and not self._call.write(body):
            await self._drained.wait()
        if not event.get("more_body", False):
            self.end()

    # -- ends

    def end(self) -> None:
        """The answer is complete."""
        if self._is_finished or self._is_lost:
            return
        if not self._is_started:
            self.fail()
            return
        self._is_finished = True
        self._call.finish()

    def fail(self) -> None:
        """There is no answer, or only half of one."""
        if self._is_started:
            self._call.reset(INTERNAL_ERROR)
        else:
            self._refuse(b"500")

    def _refuse(self, status: bytes) -> None:
        if not self._is_started and not self._is_lost:
            self._start(status, [(b"content-length", b"0")])
            self._is_finished = True
            self._call.finish()

    def _start(self, status: bytes, fields: list[tuple[bytes, bytes]]) -> None:
        self._is_started = True
        self._call.start_plain(status, [*fields, (b"date", formatdate(usegmt=True).encode())])


def _unquote(path: bytes) -> str:
    return unquote_to_bytes(path).decode("utf-8", "replace")
