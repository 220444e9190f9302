"""The network between the members of a cluster, as a test would have it: any direction may be cut.

    member j --dials--> proxy of member i (the URL that i advertises) --> where i listens

Who dials is told by X-Server-From in the first request of a connection. Bytes from a to b, on whichever connection,
pass while the direction (a, b) is open; else they wait, as in a network that drops them and a TCP that tries again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from functools import partial
from typing import Final

PIECE_BYTES: Final = 65536
HEAD_BYTES_MAX: Final = 65536
SERVER_FROM: Final = re.compile(rb"(?i)\r\nx-server-from: *([0-9a-f]+)\r\n")

# Whoever does not say who he is (a member asking for /members, /version): nothing cuts him off.
STRANGER: Final = -1


class Links:
    """All links of one cluster; members are numbered."""

    def __init__(self, listen_ports: list[int], proxy_ports: list[int]) -> None:
        self._listen_ports = listen_ports
        self._proxy_ports = proxy_ports
        self.member_ids: dict[int, int] = {}  # id -> number
        self._cut: set[tuple[int, int]] = set()
        self._changed = asyncio.Condition()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        for number, port in enumerate(self._proxy_ports):
            server = await asyncio.start_server(partial(self._accept, number), "127.0.0.1", port)
            self._servers.append(server)

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def cut(self, directions: Iterable[tuple[int, int]]) -> None:
        """Let nothing pass any more in these directions (from, to)."""
        async with self._changed:
            self._cut.update(directions)

    async def heal(self) -> None:
        async with self._changed:
            self._cut.clear()
            self._changed.notify_all()

    # -- one connection

    def _accept(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(number, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_member: asyncio.StreamWriter | None = None
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            found = SERVER_FROM.search(head)
            dialer = self.member_ids.get(int(found[1], 16), STRANGER) if found else STRANGER
            await self._wait_open(dialer, number)
            from_member, to_member = await asyncio.open_connection("127.0.0.1", self._listen_ports[number])
            to_member.write(head)
            both = [
                asyncio.ensure_future(self._pump(reader, to_member, dialer, number)),
                asyncio.ensure_future(self._pump(from_member, writer, number, dialer)),
            ]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in both:
                    pump.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # one of the two ends is gone
        finally:
            for stream in (writer, to_member):
                if stream is not None:
                    stream.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, source: int, target: int) -> None:
        while data := await reader.read(PIECE_BYTES):
            await self._wait_open(source, target)
            writer.write(data)
            await writer.drain()

    async def _wait_open(self, source: int, target: int) -> None:
        if (source, target) in self._cut:
            async with self._changed:
                await self._changed.wait_for(lambda: (source, target) not in self._cut)
