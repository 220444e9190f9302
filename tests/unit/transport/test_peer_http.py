"""The HTTP client of members, against canned bytes and against our own server, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from etcdpy.transport import peer_http
from etcdpy.transport.peer_http import HttpAnswer, HttpFailed, fetch
from tests.unit.transport.echo_server import running_server


class Canned:
    """A server that answers every request with the same bytes and keeps what it was asked."""

    def __init__(self, answer: bytes, *, does_close: bool = True) -> None:
        self.answer = answer
        self.does_close = does_close
        self.requests: list[bytes] = []
        self.url = ""
        self._released = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or b"0")
            self.requests.append(head + await reader.readexactly(length))
            writer.write(self.answer)
            await writer.drain()
            if not self.does_close:
                await self._released.wait()
        except OSError:
            pass  # the client hung up, as it must on some of these answers
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Canned]:
        server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            try:
                yield self
            finally:
                self._released.set()
                await asyncio.gather(*self._tasks)


def ask(
    answer: bytes, call: Callable[[str], Awaitable[HttpAnswer]], *, does_close: bool = True
) -> tuple[HttpAnswer, list[bytes]]:
    async def run() -> tuple[HttpAnswer, list[bytes]]:
        async with Canned(answer, does_close=does_close).running() as server:
            return await call(server.url), server.requests

    return asyncio.run(run())


def get(url: str) -> Awaitable[HttpAnswer]:
    return fetch(url + "/members", timeout_seconds=10, body_bytes_max=100)


ANSWERS = {
    "by length": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
    "by chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nT: x\r\n\r\n",
        b"abc",
    ),
    "by the end": (b"HTTP/1.0 200 OK\r\n\r\nabc", b"abc"),
    "nothing": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    "after 100": (b"HTTP/1.1 100 Continue\r\nT: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", b"a"),
    "with more behind it": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na\x00garbage", b"a"),
    "as long as allowed": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100, b"x" * 100),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_bodies(name: str) -> None:
    sent, body = ANSWERS[name]
    answer, _ = ask(sent, get)
    assert (answer.status, answer.body) == (200, body)
    assert "t" not in answer.headers


FAILURES = {
    "no answer": (b"", "closed before the answer was complete"),
    "half a head": (b"HTTP/1.1 200 OK\r\nConte", "closed before the answer was complete"),
    "half a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "closed before the answer was complete"),
    "half a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", "closed before"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "malformed HTTP answer"),
    "a long body": (b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101, "longer than 100 bytes"),
    "an endless body": (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 200_000, "longer than 100 bytes"),
    "an endless head": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "the head of an answer is longer"),
    "endless overhead": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 200_000 + b"\r\na",
        "takes too many bytes",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures(name: str) -> None:
    sent, text = FAILURES[name]
    with pytest.raises(HttpFailed, match=text):
        ask(sent, get)


def test_what_is_sent() -> None:
    answer, requests = ask(
        b"HTTP/1.1 404 Not Found\r\nX-Etcd-Cluster-ID: cdf8\r\nContent-Length: 0\r\n\r\n",
        lambda url: fetch(
            url + "/leases?a=b", method="POST", body=b"\x00\xff", headers={"X-Server-From": "1"}, timeout_seconds=10
        ),
    )
    assert (answer.status, answer.headers["x-etcd-cluster-id"]) == (404, "cdf8")
    head, _, body = requests[0].partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    assert first == b"POST /leases?a=b HTTP/1.1"
    assert body == b"\x00\xff"
    assert {b"Connection: close", b"X-Server-From: 1", b"Content-Length: 2"} <= set(fields)


def test_head_has_no_body() -> None:
    sent = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    answer, _ = ask(sent, lambda url: fetch(url, method="HEAD", timeout_seconds=10))
    assert (answer.status, answer.body) == (200, b"")


def test_a_proxy_is_sent_the_whole_url() -> None:
    _, requests = ask(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        lambda url: fetch("http://discovery.test/v2/keys", proxy=url, timeout_seconds=10),
    )
    assert requests[0].startswith(b"GET http://discovery.test/v2/keys HTTP/1.1\r\nHost: discovery.test\r\n")


def test_a_silent_server_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        ask(b"HTTP/1.1 200 OK\r\n", lambda url: fetch(url, timeout_seconds=0.05), does_close=False)


def test_nobody_there() -> None:
    async def run() -> None:
        async with Canned(b"").running() as server:
            url = server.url
        await fetch(url, timeout_seconds=10)

    with pytest.raises(ConnectionRefusedError):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("url", "proxy", "text"),
    [
        ("unixs://m1:0", "", "TLS is not set up"),
        ("unix:///run/m1", "", "no host"),
        ("ftp://m1:0", "", 'unsupported protocol scheme "ftp"'),
        ("http://:2380", "", "no host"),
        ("http://127.0.0.1:0", "", "no host"),
        ("http://127.0.0.1:x", "", "could not be cast"),
        ("https://127.0.0.1:1", "", "TLS is not set up"),
    ],
)
def test_urls_that_cannot_be_asked(url: str, proxy: str, text: str) -> None:
    with pytest.raises(HttpFailed, match=text):
        asyncio.run(fetch(url, timeout_seconds=1, proxy=proxy))


def test_a_header_cannot_smuggle_another() -> None:
    with pytest.raises(ValueError, match="control character"):
        asyncio.run(fetch("http://127.0.0.1:1", headers={"A": "b\r\nC: d"}, timeout_seconds=1))


def test_our_own_server() -> None:
    with running_server() as server:
        answer = asyncio.run(fetch(f"http://127.0.0.1:{server.port}/health", timeout_seconds=10))
    assert answer.status == 200


def test_limits_fit_each_other() -> None:
    assert peer_http.READ_BYTES <= peer_http.HEAD_BYTES_MAX
