"""A web server in the running loop: answers by path, and what was asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Page:
    body: str | bytes = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Answer = Callable[[str, str, str], Page]  # method, path with query, body


class Web:
    """Invariant: `requests` has method and path of each request, in order."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.url = ""
        self.requests: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.partition("Content-Length: ")[2].partition("\r\n")[0] or "0")
            body = (await reader.readexactly(length)).decode()
            method, path, _ = head.partition("\r\n")[0].split(" ")
            self.requests.append(f"{method} {path}")
            page = self._answer(method, path, body)
            content = page.body.encode() if isinstance(page.body, str) else page.body
            lines = [f"HTTP/1.1 {page.status} X", f"Content-Length: {len(content)}"]
            lines += [f"{name}: {value}" for name, value in page.headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + content)
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def finish(self) -> None:
        await asyncio.gather(*self._tasks)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Web]:
    web = Web(answer)
    server = await asyncio.start_server(web.accept, "127.0.0.1", 0)
    web.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield web
        await web.finish()


@asynccontextmanager
async def serving_pages(pages: dict[str, Page]) -> AsyncIterator[Web]:
    """Serve these pages by path; other paths are 404."""
    async with serving(lambda _method, path, _body: pages.get(path, Page("404 page not found\n", 404))) as web:
        yield web
