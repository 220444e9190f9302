"""What a gRPC handler sees of a call, and what it has to offer in return.

    unary      client sends one message > handle(call) > call.respond(bytes) or call.fail(code, text), now or later
    streaming  client sends HEADERS     > open(call) returns a handler > on_message ... on_end ... on_close

The production `Call` is the Cython `Stream` itself: no wrapper is allocated per request. The protocols below exist so
that handlers can be typed, and tested with a plain object.

Rules
  * A unary call is answered exactly once. After `closed` turned true every answer is dropped silently.
  * `on_close` is always the last event of a streaming call, whoever ended it, and comes exactly once.
  * Handlers are never called from within one of their own calls into the transport.
"""

from __future__ import annotations

from typing import Protocol


class Call(Protocol):
    """One request as its handler sees it."""

    user: object  # free slot for the layer above

    @property
    def path(self) -> bytes:
        """The method's path, `/package.Service/Method`."""

    @property
    def message(self) -> bytes:
        """The single request message of a unary call, decompressed."""

    @property
    def peer(self) -> str:
        """The client's address, `ip:port` or a socket's path."""

    @property
    def connection(self) -> object:
        """What the calls of one connection have in common, and no others."""

    @property
    def is_crowded(self) -> bool:
        """More waits on the connection than its client may leave there: make no further answers for it now."""

    def has_room(self, size: int) -> bool:
        """Return whether `size` bytes may be written: not while the connection is crowded.

        A call with nothing unsent is stopped later than the others: streams that are not read shall not starve it.
        """

    @property
    def deadline(self) -> float | None:
        """The loop time at which the client's patience ends."""

    @property
    def closed(self) -> bool:
        """The client cancelled, the deadline passed or the connection is gone: answers are dropped."""

    def metadata(self, name: bytes) -> bytes | None:
        """Return the first value of a request header (lower case name), raw bytes: they need not be UTF-8."""

    def peer_common_name(self) -> bytes | None:
        """Return the common name in the client's certificate, where TLS is on and has verified one; otherwise None."""

    def put_off(self) -> bool:
        """Unary: have the handler called again once the client has read more, if he has too much unread now.

        Returns whether it will be. Otherwise the answer is due, as ever.
        """

    def respond(self, message: bytes | list[bytes]) -> None:
        """Answer a unary call: headers, one message (chunks are joined on their way out), status OK."""

    def fail(self, code: int, text: str) -> None:
        """End a unary or streaming call with a status that is not OK."""

    def start(self) -> None:
        """Send the response headers of a streaming call now; otherwise the first `write` does."""

    def write(self, message: bytes | list[bytes]) -> bool:
        """Queue one message of a streaming call; False: above the high mark, wait for `on_drain`.

        Chunks are joined on their way out: what many streams are sent is in memory once, if it is a chunk of its own.
        """

    def finish(self, code: int = 0, text: str = "") -> None:
        """End a streaming call after what is queued."""

    def pause_reading(self) -> None:
        """Stop `on_message`; the client's window then closes by itself."""

    def resume_reading(self) -> None:
        """Deliver what waited, and go on."""


class StreamHandler(Protocol):
    """The application's side of one streaming call. A method's `open` returns it."""

    def on_message(self, message: bytes, /) -> None:
        """Take one message; when this returns its bytes count as consumed (unless reading was paused before)."""

    def on_end(self) -> None:
        """The other side will send no more messages."""

    def on_close(self, error: int, /) -> None:
        """The call is over. `error`: 0 ended regularly, else the HTTP/2 error code (8 = cancelled)."""

    def on_drain(self) -> None:
        """After `write` returned False: the queue is below the low mark again."""
