"""Proxies that do not do what they are asked. Those that do: tests/compat/test_discovery_tls_real.py."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from etcdpy.base.log import silent_logger
from etcdpy.embed.discovery_dial import DiscoveryDialler, proxy_authorization
from etcdpy.transport.peer_http import HttpFailed

TARGET = urlsplit("https://discovery.invalid/v2/keys/t")


def tunnel(answer: bytes) -> str:
    """Ask a proxy that says `answer` and hangs up; return what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async def scenario() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            proxy = urlsplit(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            await DiscoveryDialler(silent_logger()).dial(proxy, TARGET)

    with pytest.raises(OSError) as caught:
        asyncio.run(scenario())
    assert isinstance(caught.value, HttpFailed), caught.value
    assert asked[0].startswith(b"CONNECT discovery.invalid:443 HTTP/1.1\r\nHost: discovery.invalid:443\r\n")
    return str(caught.value)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "Bad Gateway"),
        (b"HTTP/1.1 407\r\n\r\n", "407"),
        (b"HTTP/1.1 200 OK\r\nX: y", "21 bytes read"),
        (b"", "0 bytes read"),
        (b"x" * 100_000, "limit"),
    ],
)
def test_a_proxy_that_does_not_connect(answer: bytes, reason: str) -> None:
    text = tunnel(answer)
    assert text.startswith("CONNECT discovery.invalid:443: ") and reason in text


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("http://p:1", {}),
        ("http://u:p%20w@p:1", {"Proxy-Authorization": "Basic dTpwIHc="}),
        ("http://u@p:1", {"Proxy-Authorization": "Basic dTo="}),
    ],
)
def test_a_proxy_may_want_to_know_who_asks(url: str, header: dict[str, str]) -> None:
    assert proxy_authorization(urlsplit(url)) == header
