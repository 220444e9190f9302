"""A client of the gateway without a socket: what it sends, and what was sent to it."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

Message = MutableMapping[str, Any]


class FakeClient:
    """One HTTP request, whose body may come in pieces, and who hangs up when told to."""

    def __init__(self, path: str, *pieces: bytes, method: str = "POST", headers: dict[str, str] | None = None) -> None:
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
            "client": ("10.0.0.1", 5),
            "subprotocols": [],
        }
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        for piece in pieces:
            self.incoming.put_nowait({"type": "http.request", "body": piece, "more_body": True})
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.sent: list[Message] = []

    def end_body(self) -> None:
        self.incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    def hang_up(self) -> None:
        self.incoming.put_nowait({"type": f"{self.scope['type']}.disconnect"})

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    async def receive(self) -> Message:
        return await self.incoming.get()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            self.pieces.append(message["body"])
