"""One request and its answer, whichever way they travel: HTTP/1.1, or messages of a WebSocket.

    HTTP        body > read() ...          start(status, headers), write(piece) > body
    WebSocket   each message and a newline > read() ...          each line written > a message; a status is not sent

As in grpc-websocket-proxy, which etcd puts before its gateway.
"""

from __future__ import annotations

from typing import Final, Protocol

from starlette.types import Receive, Scope, Send

BEARER_PROTOCOL: Final = "Bearer"
Header = tuple[bytes, bytes]


class Gone(Exception):
    """The client has hung up."""


class Exchange(Protocol):
    """What the gateway needs of a request."""

    @property
    def headers(self) -> list[Header]: ...

    @property
    def peer(self) -> str: ...

    async def read(self) -> bytes | None:
        """Return the next piece of the body, or None after the last. Raise Gone."""

    async def wait_gone(self) -> None:
        """Return when the client has hung up. Only after the body was read."""

    async def start(self, status: int, headers: list[Header]) -> None: ...

    async def write(self, piece: bytes) -> None:
        """Send a piece of the answer; waits while the client takes no more. Raise Gone where that is known."""

    async def finish(self) -> None: ...


class HttpExchange:
    """Over HTTP/1.1."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers: list[Header] = scope["headers"]
        self.peer = _peer(scope)
        self._receive = receive
        self._send = send
        self._is_read = False

    async def read(self) -> bytes | None:
        if self._is_read:
            return None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Gone
        self._is_read = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    async def wait_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue

    async def start(self, status: int, headers: list[Header]) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, piece: bytes) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def finish(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})


class WebSocketExchange:
    """Over a WebSocket, which the gateway accepts whatever comes of it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers: list[Header] = list(scope["headers"])
        self.peer = _peer(scope)
        self._receive = receive
        self._send = send
        self._protocols: list[str] = scope["subprotocols"]

    async def accept(self) -> None:
        """Agree; a token may stand where only the browser's script can put one: behind the word Bearer."""
        await self._receive()
        answer: dict[str, object] = {"type": "websocket.accept"}
        if self._protocols and self._protocols[0] == BEARER_PROTOCOL:
            answer["subprotocol"] = BEARER_PROTOCOL
            if len(self._protocols) > 1:
                self.headers.append((b"authorization", self._protocols[1].encode()))
        await self._send(answer)

    async def read(self) -> bytes | None:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise Gone
        text: str | None = message.get("text")
        data: bytes = message["bytes"] if text is None else text.encode()
        return data + b"\n"

    async def wait_gone(self) -> None:
        while (await self._receive())["type"] != "websocket.disconnect":
            continue

    async def start(self, status: int, headers: list[Header]) -> None:
        """A WebSocket has no place for them."""

    async def write(self, piece: bytes) -> None:
        line = piece.removesuffix(b"\n")
        if line:
            await self._send({"type": "websocket.send", "text": line.decode("utf-8", "replace")})

    async def finish(self) -> None:
        await self._send({"type": "websocket.close", "code": 1000})


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else ""
