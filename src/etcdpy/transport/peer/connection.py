"""The answering end of a peer's HTTP/1.1 connection: raft's four paths here, every other one elsewhere.

    request line --- /raft, /raft/snapshot, /raft/probing, /raft/stream/... --> a handler of `requests.py`
                 \\-- anything else -----------------------------------------> the HTTP server of the peer port

Each request of the connection is looked at anew. The other server, once it has the connection, keeps it: Go's members
have separate connections for the two.

Rules
  * Request line and head are at most 64 KiB and must be there within 10 s: httptools would keep any amount.
  * A connection on which nothing happens is closed after the read timeout, as etcd's are.
  * One request at a time: what comes behind an unanswered one closes the connection after the answer.
  * An answer before the request's end (a refusal) ends the connection; what still comes is thrown away for a moment,
    so that the answer arrives before the reset that would follow unread bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

import httptools

from etcdpy.transport.peer.stream_kind import STREAM_PREFIX

if TYPE_CHECKING:
    from etcdpy.transport.peer.server import PeerServer

HEAD_BYTES_MAX: Final = 64 * 1024
HEAD_SECONDS_MAX: Final = 10.0
LINGER_SECONDS: Final = 0.5
OWN_PATHS: Final = (b"/raft", b"/raft/snapshot", b"/raft/probing")
TEXT: Final = "text/plain; charset=utf-8"


class Handler(Protocol):
    """One request's treatment. It answers when it likes; after that it is told nothing more but `on_lost`."""

    def on_body(self, data: bytes) -> None: ...
    def on_end(self) -> None: ...
    def on_lost(self, error: Exception | None) -> None: ...


class Request:
    """The head of a request. Header names are in lower case."""

    def __init__(self, method: str, path: str, headers: dict[str, str]) -> None:
        self.method = method
        self.path = path
        self.headers = headers


def is_own_path(start: bytes) -> bool | None:
    """Whether the request that starts so is raft's; None where the path is not all there yet."""
    words = start.lstrip(b"\r\n").split(b" ", 2)
    if len(words) < 3:
        # Something that is no HTTP goes where it is refused.
        return None if len(start) <= HEAD_BYTES_MAX and b"\n" not in start.lstrip(b"\r\n") else False
    path = words[1].partition(b"?")[0]
    return path in OWN_PATHS or path.startswith(STREAM_PREFIX.encode())


class PeerConnection(asyncio.Protocol):
    """See the top of the file."""

    def __init__(self, server: PeerServer) -> None:
        self._server = server
        self._loop = server.world.loop
        self.transport: asyncio.Transport
        self._start = b""  # Of a request whose path is not all there yet.
        self._parser: httptools.HttpRequestParser | None = None  # Invariant: None between requests.
        self._handler: Handler | None = None
        self._url = bytearray()
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._head_bytes = 0
        self._is_head_done = self._is_done = self._is_answered = False
        self._must_close = False
        self._is_lingering = self._is_streaming = self._is_paused = False
        self._heard_at = self._begun_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.own_headers: Sequence[tuple[str, str]] = ()  # Of every answer to the present request.

    # ---- the event loop's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._server.connections.add(self)
        self._heard_at = self._begun_at = self._loop.time()
        self._watch(self._server.world.timeouts.read_seconds)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        if self._is_lingering or self._is_streaming:
            return
        if self._is_done:
            # Behind a request that is not answered yet.
            self._must_close = True
            return
        if self._parser is not None:
            self._feed(self._parser, data)
            return
        if not self._start:
            self._begun_at = self._heard_at
        self._start += data
        is_own = is_own_path(self._start)
        if is_own is None:
            return
        start, self._start = self._start, b""
        if is_own:
            self._parser = httptools.HttpRequestParser(self)
            self._feed(self._parser, start)
        else:
            self._hand_over(start)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.on_lost(exc)

    # ---- reading

    def _feed(self, parser: httptools.HttpRequestParser, data: bytes) -> None:
        if not self._is_head_done:
            self._head_bytes += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse_bytes(400)
            return
        if not self._is_head_done:
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse_bytes(431)
            return
        if self._handler is None and not self._is_answered:
            self._begin(parser)
        pieces, self._pieces = self._pieces, []
        if pieces and self._handler is not None and not self._is_answered:
            self._handler.on_body(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self._is_done and self._handler is not None and not self._is_answered:
            self._handler.on_end()

    def _begin(self, parser: httptools.HttpRequestParser) -> None:
        request = Request(
            parser.get_method().decode("latin-1"),
            bytes(self._url).partition(b"?")[0].decode("latin-1"),
            self._headers,
        )
        if request.headers.get("expect", "").lower() == "100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        handler = self._server.begin(request, self)
        if handler is not None:
            self._handler = handler

    def _refuse_bytes(self, status: int) -> None:
        """What came is no HTTP that we take."""
        if not self._is_answered:
            self._must_close = True
            self.answer(status, HTTPStatus(status).phrase)
        else:
            self.transport.abort()

    def pause(self) -> None:
        """Read no more until `resume`. The time does not count as silence."""
        if not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self._is_paused and not self.transport.is_closing():
            self._is_paused = False
            self._heard_at = self._loop.time()
            self.transport.resume_reading()

    # ---- the parser's callbacks: they only note

    def on_url(self, url: bytes) -> None:
        if not self._is_done:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_done:
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if not self._is_head_done and self._parser is not None:
            self._is_head_done = True
            # Only here: the parser forgets when it returns.
            self._must_close = self._must_close or not self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        if not self._is_done:
            self._pieces.append(body)

    def on_message_begin(self) -> None:
        if self._is_done:
            self._must_close = True

    def on_message_complete(self) -> None:
        self._is_done = True

    # ---- answering

    def answer(
        self,
        status: int,
        body: str | bytes = b"",
        *,
        content_type: str = TEXT,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Write the whole answer. A str is an error's text, with a newline behind it as Go's http.Error has it."""
        if self._is_answered or self.transport.is_closing():
            return
        self._is_answered = True
        extra = [*self.own_headers, *headers]
        if isinstance(body, str):
            body = body.encode() + b"\n"
            extra.append(("X-Content-Type-Options", "nosniff"))
        if status != 204:
            extra += [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        if self._must_close or not self._is_done:
            extra.append(("Connection", "close"))
        is_head = self._parser is not None and self._is_head_done and self._parser.get_method() == b"HEAD"
        self.transport.write(response_head(status, extra) + (b"" if is_head else body))
        self._finish()

    def stream(self) -> None:
        """Write the head of an answer without end; whoever has the transport writes the chunks."""
        self._is_answered = self._is_streaming = True
        self.transport.write(response_head(200, [*self.own_headers, ("Transfer-Encoding", "chunked")]))

    def abort(self) -> None:
        self.transport.abort()

    def _finish(self) -> None:
        """The answer is written: go on to the next request, or end."""
        self._handler = None
        if self._must_close or not self._is_done:
            self._is_lingering = True
            self.resume()
            self._watch(LINGER_SECONDS)
        else:
            self._reset()

    def _reset(self) -> None:
        """Be ready for the next request."""
        self._parser = None
        self._handler = None
        self._url.clear()
        self._headers = {}
        self.own_headers = ()
        self._pieces = []
        self._head_bytes = 0
        self._is_head_done = self._is_done = self._is_answered = False
        self._heard_at = self._begun_at = self._loop.time()

    def _hand_over(self, start: bytes) -> None:
        """Give the connection, and what it said so far, to the other server."""
        self._leave()
        other = self._server.others.connection()
        self.transport.set_protocol(other)
        other.connection_made(self.transport)
        other.data_received(start)

    # ---- time

    def _watch(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Close a connection on which nothing happens."""
        self._timer = None
        if self._is_lingering:
            self.transport.abort()
            return
        if self._is_streaming:
            return
        now, timeout = self._loop.time(), self._server.world.timeouts.read_seconds
        is_ours = self._is_paused or self._is_done
        if not is_ours and now - self._heard_at >= timeout:
            self.transport.abort()
            return
        is_in_head = bool(self._start) or (self._parser is not None and not self._is_head_done)
        if is_in_head and now - self._begun_at >= HEAD_SECONDS_MAX:
            self.transport.abort()
            return
        self._watch(timeout if is_ours else max(0.01, self._heard_at + timeout - now))

    def _leave(self) -> None:
        self._server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def response_head(status: int, headers: Sequence[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Date: {formatdate(usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
