"""The asking end of an HTTP/1.1 connection to a peer, and the few of them that are kept for the next question.

    connection = await dial(world, url)
    connection.ask(head, body, reader)      the reader is told of the answer: its head, each piece of its body, its end
    answer = await fetch(connection, ...)   the same for an answer that is small and wanted whole

Rules
  * One question at a time. A connection that was given up in the middle of one is closed, never used again.
  * An answer's head is at most 64 KiB, and a small answer's body, too: httptools itself would keep any amount.
  * An idle connection is closed before the other side's patience (5 s) ends, so that a question seldom meets a
    connection that is being closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import httptools

from etcdpy.base.ids import format_id
from etcdpy.transport.peer.urls import PeerUrl
from etcdpy.transport.peer.world import World

ANSWER_HEAD_BYTES_MAX: Final = 64 * 1024
ANSWER_BODY_BYTES_MAX: Final = 64 * 1024
# As many as post to one peer at a time (pipeline), and a prober.
KEPT_CONNECTIONS_MAX: Final = 5


class PeerFailure(Exception):
    """A peer could not be reached, or did not answer as a peer does. The text goes to the log."""


class AnswerReader(Protocol):
    """Who waits for an answer. After `on_end` or `on_lost`, exactly one of which comes, nothing more does."""

    def on_head(self, status: int, headers: dict[str, str]) -> None: ...
    def on_body(self, data: bytes) -> None: ...
    def on_end(self) -> None: ...
    def on_lost(self, error: Exception) -> None: ...


class ClientConnection(asyncio.Protocol):
    """See the top of the file."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None  # Invariant: None while nothing was asked.
        self._parser: httptools.HttpResponseParser | None = None
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._head_bytes = 0
        self._is_head_done = self._is_head_told = self._is_done = False
        self._may_be_kept = True
        self._is_unasked = False  # An answer came behind the one that was asked for.
        self._drained: asyncio.Future[None] | None = None
        self._is_paused = False

    # ---- asking

    @property
    def is_usable(self) -> bool:
        """Whether another question may be asked."""
        return (
            self._transport is not None
            and not self._transport.is_closing()
            and self._reader is None
            and self._may_be_kept
        )

    def ask(self, head: bytes, reader: AnswerReader, body: bytes = b"") -> None:
        """Write a request (or its beginning: `write` gives the rest) and tell `reader` of the answer."""
        assert self._transport is not None and self._reader is None
        self._reader = reader
        self._parser = httptools.HttpResponseParser(self)
        self._headers = {}
        self._head_bytes = 0
        self._is_head_done = self._is_head_told = self._is_done = False
        self._transport.write(head + body)

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    async def wait_writable(self) -> None:
        """Wait until the other side has taken most of what was written, or the connection is lost."""
        if self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def close(self) -> None:
        """Close now. A reader that still waits is told."""
        if self._transport is not None:
            self._transport.abort()

    # ---- the event loop's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._wake_writer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._wake_writer()
        self._lose(exc or EOFError("EOF"))

    def eof_received(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        if self._reader is None or self._parser is None:
            # Nobody asked: there is no telling what the next answer would belong to.
            self.close()
            return
        if not self._is_head_done:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(PeerFailure(f"malformed HTTP response: {error}"))
            return
        if not self._is_head_done and self._head_bytes > ANSWER_HEAD_BYTES_MAX:
            self._fail(PeerFailure("the head of the response is too large"))
            return
        self._tell(self._reader, self._parser)

    # ---- the parser's callbacks: they only note; the reader is told after the parser has returned

    def on_message_begin(self) -> None:
        if self._is_done:
            self._is_unasked = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_done:
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._is_head_done = True

    def on_body(self, body: bytes) -> None:
        if not self._is_unasked:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        assert self._parser is not None
        self._is_done = True
        # Only here: the parser forgets when it returns.
        self._may_be_kept = self._parser.should_keep_alive() and not self._is_unasked

    def _tell(self, reader: AnswerReader, parser: httptools.HttpResponseParser) -> None:
        if self._is_head_done and not self._is_head_told:
            self._is_head_told = True
            reader.on_head(parser.get_status_code(), self._headers)
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            if self._reader is reader:
                reader.on_body(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self._is_done and self._reader is reader:
            self._reader = None
            reader.on_end()

    # ---- ends

    def _fail(self, error: Exception) -> None:
        self.close()
        self._lose(error)

    def _lose(self, error: Exception) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.on_lost(error)

    def _wake_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)


async def dial(world: World, url: PeerUrl) -> ClientConnection:
    """Return a new connection. Raise OSError or PeerFailure."""
    try:
        async with asyncio.timeout(world.timeouts.dial_seconds):
            return await world.connector.connect(url, ClientConnection)
    except TimeoutError:
        raise PeerFailure(f"dial {url.authority}: i/o timeout") from None


def request_head(world: World, url: PeerUrl, method: str, path: str, extra: Sequence[tuple[str, str]] = ()) -> bytes:
    """Return a request's head with our own headers (facts 7.1) and `extra`."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {url.authority}", "User-Agent: etcdpy"]
    lines += [f"{name}: {value}" for name, value in (*world.identity.headers(), *extra)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Answer:
    """A whole small answer."""

    __slots__ = ("status", "headers", "body")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace").strip()


class SmallAnswer:
    """Reads an answer whole; `wait` for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._answer: asyncio.Future[Answer] = loop.create_future()
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    async def wait(self, seconds: float) -> Answer:
        """Return the answer. Raise PeerFailure when the connection is lost or it takes longer."""
        try:
            async with asyncio.timeout(seconds):
                return await self._answer
        except TimeoutError:
            raise PeerFailure("i/o timeout while waiting for the response") from None

    @property
    def has_come(self) -> bool:
        """Whether waiting would return or raise at once."""
        return self._answer.done()

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        self._status = status
        self._headers = headers

    def on_body(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > ANSWER_BODY_BYTES_MAX:
            self.on_lost(PeerFailure("the response is too large"))

    def on_end(self) -> None:
        if not self._answer.done():
            self._answer.set_result(Answer(self._status, self._headers, bytes(self._body)))

    def on_lost(self, error: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(error if isinstance(error, PeerFailure) else PeerFailure(str(error)))
            # The asker may have gone; the error was meant for it alone.
            self._answer.exception()


class KeptConnections:
    """Connections to one peer: an idle one is used again, or a new one is dialled."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._idle: dict[ClientConnection, tuple[PeerUrl, asyncio.TimerHandle]] = {}
        self._busy: set[ClientConnection] = set()
        self._is_closed = False

    async def fetch(self, url: PeerUrl, head: bytes, body: bytes = b"") -> Answer:
        """Ask and return the answer. Raise PeerFailure or OSError."""
        connection = self._take_idle(url) or await dial(self._world, url)
        if self._is_closed:
            connection.close()
            raise PeerFailure("the peer was removed")
        self._busy.add(connection)
        try:
            reader = SmallAnswer(self._world.loop)
            connection.ask(head, reader, body)
            async with asyncio.timeout(self._world.timeouts.write_seconds):
                await connection.wait_writable()
            return await reader.wait(self._world.timeouts.read_seconds)
        except TimeoutError:
            raise PeerFailure("i/o timeout while writing the request") from None
        finally:
            self._busy.discard(connection)
            self._keep(url, connection)

    def close(self) -> None:
        """Close all of them, also those at work."""
        self._is_closed = True
        for connection in [*self._idle, *self._busy]:
            self._forget(connection)
            connection.close()

    def _take_idle(self, url: PeerUrl) -> ClientConnection | None:
        for connection, (its_url, _) in list(self._idle.items()):
            if its_url == url:
                self._forget(connection)
                if connection.is_usable:
                    return connection
        return None

    def _keep(self, url: PeerUrl, connection: ClientConnection) -> None:
        if self._is_closed or not connection.is_usable or len(self._idle) >= KEPT_CONNECTIONS_MAX:
            connection.close()
            return
        timer = self._world.loop.call_later(self._world.timeouts.idle_seconds, self._expire, connection)
        self._idle[connection] = (url, timer)

    def _expire(self, connection: ClientConnection) -> None:
        self._forget(connection)
        connection.close()

    def _forget(self, connection: ClientConnection) -> None:
        kept = self._idle.pop(connection, None)
        if kept is not None:
            kept[1].cancel()


def check_post_answer(answer: Answer, path: str, to: int) -> None:
    """Return if the peer took what was posted. Raise MemberRemoved or PeerFailure."""
    if answer.status in (200, 204):
        return
    if answer.status == 412 and answer.text in ("incompatible version", "cluster ID mismatch"):
        raise PeerFailure("cluster ID mismatch" if "cluster" in answer.text else "incompatible version")
    if answer.status == 412:
        raise PeerFailure(f"unhandled error {answer.text!r} when precondition failed")
    # 3.5.33 answers 403 also where the message was for another member than the one that lives at the URL now.
    if answer.status == 410 or (answer.status == 403 and "mismatch member" not in answer.text):
        raise MemberRemoved
    raise PeerFailure(f"unexpected http status {answer.status} while posting {path} to {format_id(to)}: {answer.text}")


class MemberRemoved(PeerFailure):
    """The peer says that this member was removed from the cluster."""

    def __init__(self) -> None:
        super().__init__("the member has been permanently removed from the cluster")
