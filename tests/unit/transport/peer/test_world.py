"""How connections are opened: TCP, unix sockets, and no TLS by accident."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from etcdpy.transport.peer.urls import parse_peer_url
from etcdpy.transport.peer.world import PlainConnector
from tests.unit.transport.peer.members import run, until


class Greeted(asyncio.Protocol):
    def __init__(self) -> None:
        self.heard = b""

    def has_heard(self) -> bool:
        return self.heard == b"hello"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data


ENDED: list[str] = []


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(b"hello")  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        ENDED.append("ended")


def test_tcp_and_unix_sockets_are_reached(tmp_path: Path) -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        tcp = await loop.create_server(Greeter, "127.0.0.1", 0)
        unix = await loop.create_unix_server(Greeter, str(tmp_path / "socket"))
        port = tcp.sockets[0].getsockname()[1]
        ENDED.clear()
        for url in (f"http://127.0.0.1:{port}", f"unix://{tmp_path / 'socket'}"):
            protocol = await PlainConnector(loop).connect(parse_peer_url(url), Greeted)
            await until(protocol.has_heard)
            protocol.transport.close()
        await until(lambda: len(ENDED) == 2)
        tcp.close()
        unix.close()

    run(body())


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "unixs:///x"])
def test_a_secure_url_is_never_dialled_in_plain(url: str) -> None:
    async def body() -> None:
        connector = PlainConnector(asyncio.get_running_loop())
        with pytest.raises(ConnectionError, match="TLS"):
            await connector.connect(parse_peer_url(url), Greeted)

    run(body())
