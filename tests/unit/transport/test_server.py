"""The gRPC server, its two clients, HTTP/1.1 beside it and the mux before them, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from etcdpy.base.errors import EtcdError
from etcdpy.transport.grpc import GrpcServer
from etcdpy.transport.grpc.blocking import BlockingChannel
from etcdpy.transport.grpc.channel import Channel
from etcdpy.transport.http1 import HttpServer
from etcdpy.transport.listener import Listener
from etcdpy.transport.mux import Mux
from tests.unit.transport import wire
from tests.unit.transport.echo_server import LARGE_BYTES, RunningServer, http_app, methods, running_server

PROTOCOL_ERROR = (1).to_bytes(4, "big")


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server() as server:
        yield server


def answer(server: RunningServer, frames: bytes) -> wire.Frame:
    """The first HEADERS or RST_STREAM frame to these frames."""
    with wire.connect(server.port) as sock:
        sock.sendall(frames)
        got = b""
        sock.settimeout(10)
        while True:
            for each in wire.frames_of(got):
                if each[0] in (wire.HEADERS, wire.RST_STREAM):
                    return each
            got += sock.recv(65536)


# ---- refusals: (header block, DATA) and what the answer must hold

REFUSALS = {
    "unknown service": (wire.request_fields(b"/x.Y/Z"), wire.message(b""), b"unknown service x.Y"),
    "unknown method": (
        wire.request_fields(b"/test.Echo/Nope"),
        wire.message(b""),
        b"unknown method Nope for service test.Echo",
    ),
    "malformed path": (wire.request_fields(b"/foo"), wire.message(b""), b'malformed method name: "/foo"'),
    "no message": (wire.request_fields(), b"", b"EOF"),
    "half a prefix": (wire.request_fields(), b"\x00\x00", b"unexpected EOF"),
    "truncated": (wire.request_fields(), wire.message(b"abc")[:-1], b"unexpected EOF"),
    "too large": (
        wire.request_fields(),
        b"\x00\xff\xff\xff\xff",
        b"grpc: received message larger than max (4294967295 vs. 2097152)",
    ),
    "flag": (wire.request_fields(), b"\x02\x00\x00\x00\x00", b"grpc: received unexpected payload format 2"),
    "compressed without encoding": (
        wire.request_fields(),
        wire.message(b"x", flag=1),
        b"grpc: compressed flag set with identity or empty encoding",
    ),
    "not gzip": (
        wire.request_fields(extra=[(b"grpc-encoding", b"gzip")]),
        wire.message(b"abcdefghijklmnop", flag=1),
        b"grpc: failed to decompress the received message gzip: invalid header",
    ),
    "gzip bomb": (
        wire.request_fields(extra=[(b"grpc-encoding", b"gzip")]),
        wire.message(gzip.compress(bytes(3_000_000)), flag=1),
        b"grpc: received message larger than max (3000000 vs. 2097152)",
    ),
    "expired": (
        wire.request_fields(extra=[(b"grpc-timeout", b"0S")]),
        wire.message(b""),
        b"context deadline exceeded",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_call_is_told_why(server: RunningServer, name: str) -> None:
    block, body, text = REFUSALS[name]

    kind, flags, _, payload = answer(server, wire.headers(1, block) + wire.data(1, body))

    assert kind == wire.HEADERS and flags & wire.END_STREAM
    # HPACK may Huffman-code what it sends: compare through the client that decodes it.
    assert payload
    assert refusal_text(server, block, body) == text


def refusal_text(server: RunningServer, block: bytes, body: bytes) -> bytes:
    """The grpc-message of the answer, decoded by nghttp2."""
    from etcdpy.transport.grpc.client_call import ClientHooks
    from etcdpy.transport.http2._nghttp2 import Endpoint, Session
    from tests.unit.transport.pair import Recorder, Wire

    # A client session that believes it has asked stream 1, fed with what the server says to our own bytes.
    endpoint = Endpoint(None, server=False, hooks=ClientHooks(), message_bytes_max=1 << 30)
    session = Session(endpoint)
    session.connection_made(Wire())
    call = session.request(b"/", [(b":method", b"POST")], Recorder(), b"")
    session.flush()
    with wire.connect(server.port) as sock:
        sock.sendall(wire.headers(1, block) + wire.data(1, body))
        sock.settimeout(10)
        while call.grpc_status is None:
            session.data_received(sock.recv(65536))
    return call.grpc_message or b""


@pytest.mark.parametrize(
    "block",
    [
        wire.request_fields(method=b"GET"),
        wire.request_fields(content_type=b"text/html"),
        wire.request_fields(content_type=b"application/grpcx"),
        wire.request_fields(content_type=None),
        wire.request_fields(extra=[(b"grpc-timeout", b"5x")]),
        wire.request_fields(b"test.Echo/Unary"),
    ],
)
def test_what_is_not_grpc_is_reset(server: RunningServer, block: bytes) -> None:
    kind, _, _, payload = answer(server, wire.headers(1, block) + wire.data(1, wire.message(b"")))

    assert (kind, payload) == (wire.RST_STREAM, b"\x00\x00\x00\x01")


def test_early_answer_is_followed_by_a_reset_without_error(server: RunningServer) -> None:
    with wire.connect(server.port) as sock:
        sock.sendall(wire.headers(1) + wire.data(1, wire.message(b"whole"), end=False))

        assert wire.read_until(sock, wire.RST_STREAM, 1)[3] == bytes(4)


def test_gzip_request_gets_a_gzip_answer(server: RunningServer) -> None:
    block = wire.request_fields(extra=[(b"grpc-encoding", b"gzip")])
    with wire.connect(server.port) as sock:
        sock.sendall(wire.headers(1, block) + wire.data(1, wire.message(gzip.compress(b"text" * 100), flag=1)))
        body = wire.read_until(sock, wire.DATA, 1)[3]

    assert body[0] == 1 and gzip.decompress(body[5:]) == b"text" * 100


# ---- the blocking client


def test_blocking_client_calls_and_streams(server: RunningServer) -> None:
    with BlockingChannel(f"127.0.0.1:{server.port}") as channel:
        assert channel.unary(b"/test.Echo/Unary", b"a" * 300_000, timeout=10) == b"a" * 300_000
        assert len(channel.unary(b"/test.Echo/Large", b"", timeout=20)) == LARGE_BYTES
        with channel.stream(b"/test.Echo/Stream") as stream:
            for i in range(300):
                stream.write(b"%d" % i)
            assert channel.unary(b"/test.Echo/Unary", b"between", timeout=10) == b"between"
            assert [stream.read(timeout=10) for _ in range(300)] == [b"%d" % i for i in range(300)]
            with pytest.raises(TimeoutError):
                stream.read(timeout=0.01)
            stream.finish_writing()
            assert stream.read(timeout=10) is None


def test_blocking_client_enforces_its_deadline(server: RunningServer) -> None:
    with BlockingChannel(f"127.0.0.1:{server.port}") as channel:
        with pytest.raises(EtcdError) as raised:
            channel.unary(b"/test.Echo/Never", b"", timeout=0.05)
        assert raised.value == EtcdError("context deadline exceeded", 4)
        assert channel.unary(b"/test.Echo/Unary", b"still usable", timeout=10) == b"still usable"


def test_clients_say_unavailable_when_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    with pytest.raises(EtcdError, match="connection refused") as raised:
        BlockingChannel(f"127.0.0.1:{port}").unary(b"/x/y", b"")
    assert raised.value.code == 14

    async def asynchronous() -> None:
        await Channel(f"127.0.0.1:{port}").unary(b"/x/y", b"")

    with pytest.raises(EtcdError) as raised:
        uvloop.run(asynchronous())
    assert raised.value.code == 14


def test_blocking_client_imports_no_event_loop() -> None:
    """A command line tool pays for every module at every start."""
    program = (
        "import sys, etcdpy.transport.grpc.blocking;"
        "print(sorted({'asyncio', 'uvloop', 'uvicorn', 'ssl', 'dataclasses'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


# ---- the asynchronous client, and a server in this process


def in_loop(test: Callable[[Channel, GrpcServer, Mux], Awaitable[None]], *, limit: int | None = None) -> None:
    """Run a test against a server in the same loop."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        problems: list[object] = []
        loop.set_exception_handler(lambda _, context: problems.append(context))
        grpc, http = GrpcServer(methods(), loop=loop), HttpServer(http_app, loop=loop)
        mux = Mux(loop=loop, http2=grpc, http1=http, limit=limit)
        listener = Listener("127.0.0.1", 0, mux.connection, loop=loop)
        await listener.start()
        channel = Channel(f"127.0.0.1:{listener.port}")
        try:
            async with asyncio.timeout(20):
                await test(channel, grpc, mux)
        finally:
            channel.close()
            listener.close()
            mux.close()
            http.abort()
            grpc.abort()
            while mux.connection_count():
                await asyncio.sleep(0)
        assert problems == []

    uvloop.run(run())


def test_asynchronous_client_calls_in_parallel() -> None:
    async def test(channel: Channel, grpc: GrpcServer, mux: Mux) -> None:
        bodies = [b"%d" % i * (i * 50) for i in range(200)]
        answers = await asyncio.gather(*[channel.unary(b"/test.Echo/Unary", body, timeout=10) for body in bodies])
        assert answers == bodies
        assert grpc.methods[b"/test.Echo/Unary"].handled == {0: 200}
        with pytest.raises(EtcdError) as raised:
            await channel.unary(b"/test.Echo/Never", b"", timeout=0.01)
        assert raised.value.code == 4

    in_loop(test)


def test_asynchronous_stream_is_held_back_and_ends() -> None:
    async def test(channel: Channel, grpc: GrpcServer, mux: Mux) -> None:
        stream = await channel.stream(b"/test.Echo/Stream")
        got: list[int] = []

        async def read() -> None:
            async for message in stream:
                got.append(len(message))

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            for _ in range(500):
                await stream.write(bytes(10_000))
            stream.finish_writing()
        assert got == [10_000] * 500

    in_loop(test)


def test_graceful_end_tells_streams_unavailable() -> None:
    async def test(channel: Channel, grpc: GrpcServer, mux: Mux) -> None:
        stream = await channel.stream(b"/test.Echo/Stream")
        await stream.write(b"x")
        assert await stream.read() == b"x"
        grpc.close_gracefully()
        with pytest.raises(EtcdError) as raised:
            await stream.read()
        assert raised.value == EtcdError("etcdserver: server stopped", 14)

    in_loop(test)


def test_cancelled_task_cancels_its_call() -> None:
    async def test(channel: Channel, grpc: GrpcServer, mux: Mux) -> None:
        task = asyncio.ensure_future(channel.unary(b"/test.Echo/Never", b""))
        method = grpc.methods[b"/test.Echo/Never"]
        while not method.started:
            await asyncio.sleep(0)
        task.cancel()
        while not method.handled:
            await asyncio.sleep(0)
        assert method.handled == {1: 1}

    in_loop(test)


def test_connections_above_the_limit_are_closed() -> None:
    async def test(channel: Channel, grpc: GrpcServer, mux: Mux) -> None:
        await channel.unary(b"/test.Echo/Unary", b"")
        second = Channel(channel.address.text)
        with pytest.raises(EtcdError) as raised:
            await second.unary(b"/test.Echo/Unary", b"", timeout=5)
        assert raised.value.code == 14
        assert mux.refused_count == 1

    in_loop(test, limit=1)


# ---- HTTP/1.1 on the same port


async def http_exchange(channel: Channel, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(channel.address.host, channel.address.port)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello", b"200"),
        (b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"b" * 70_000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n" + bytes(5_000_000), b"413"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: " + b"b" * 200_000 + b"\r\n\r\n", b"431"),
    ],
)
def test_http1_is_served_and_bounded(request_bytes: bytes, status: bytes) -> None:
    async def test(channel: Channel, grpc: GrpcServer, mux: Mux) -> None:
        try:
            got = await http_exchange(channel, request_bytes)
        except ConnectionError:
            # Closed while we were still sending: a refusal all the same, but no answer to a request in order.
            assert status in (b"431", b"413")
            return
        if got or status in (b"200", b"400"):
            assert got.split(b" ")[1] == status

    in_loop(test)


def test_http1_head_that_does_not_end_is_cut() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        mux = Mux(loop=loop, http2=None, http1=HttpServer(http_app, loop=loop, head_seconds_max=0.05))
        listener = Listener("localhost", 0, mux.connection, loop=loop)
        await listener.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\n")
        async with asyncio.timeout(20):
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()
        listener.close()

    asyncio.run(run())


def test_silent_connection_is_closed() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        mux = Mux(loop=loop, http2=None, http1=None, first_bytes_seconds=0.01)
        listener = Listener("127.0.0.1", 0, mux.connection, loop=loop)
        await listener.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        async with asyncio.timeout(20):
            try:
                assert await reader.read() == b""
            except ConnectionResetError:
                pass
        writer.close()
        listener.close()
        assert mux.connection_count() == 0

    asyncio.run(run())


# ---- listeners


@contextlib.contextmanager
def listening_at(path: Path) -> Iterator[None]:
    started, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = GrpcServer(methods(), loop=loop)
        listener = Listener("", 0, server.connection, loop=loop, unix_path=str(path))
        await listener.start()
        started.set()
        await loop.run_in_executor(None, stop.wait)
        listener.close()
        server.abort()

    thread = threading.Thread(target=lambda: uvloop.run(serve()))
    thread.start()
    try:
        assert started.wait(10)
        yield
    finally:
        stop.set()
        thread.join()


def ask_by_socket(path: Path, block: bytes, rest: bytes = wire.data(1, wire.message(b"x"))) -> wire.Frame:
    """Send a request with this header block, and what follows; return the first frame of the stream."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(str(path))
        sock.sendall(wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0))
        sock.sendall(wire.headers(1, block) + rest)
        sock.settimeout(10)
        got = b""
        while True:
            for frame in wire.frames_of(got):
                if frame[2] == 1 and frame[0] in (wire.HEADERS, wire.RST_STREAM):
                    return frame
            chunk = sock.recv(65536)
            assert chunk, "closed"
            got += chunk


def test_what_requests_by_socket_may_say(tmp_path: Path) -> None:
    """Go's clients name the socket's path as :authority; everything else is looked at as on ports."""
    authority = wire.field(b":authority", b"/run/etcd.sock")
    start = wire.field(b":method", b"POST") + wire.field(b":scheme", b"http")
    path, kind = wire.field(b":path", b"/test.Echo/Unary"), wire.field(b"content-type", b"application/grpc")
    with listening_at(tmp_path / "sock"):
        assert ask_by_socket(tmp_path / "sock", start + path + authority + kind)[0] == wire.HEADERS
        for bad in (
            start + authority + kind,  # no path
            start + path + authority + kind + wire.field(b"x", b"a\r\nb"),
            start + path + authority + kind + wire.field(b"X", b"a"),
            start + path + authority + kind + wire.field(b"a b", b"a"),
            start + path + authority + kind + wire.field(b"", b"a"),
            start + path + path + authority + kind,
            start + start + path + authority + kind,
            start + path + authority + wire.field(b":unknown", b"a") + kind,
            start + path + authority + wire.field(b":status", b"200") + kind,
            start + authority + kind + path,
        ):
            got = ask_by_socket(tmp_path / "sock", bad)
            assert (got[0], got[3]) == (wire.RST_STREAM, PROTOCOL_ERROR)
        good, trailers = start + path + authority + kind, wire.field(b"a", b"b")
        for rest, answer in (
            (wire.data(1, wire.message(b"x"), end=False) + wire.headers(1, trailers, end=True), wire.HEADERS),
            (wire.headers(1, trailers), wire.RST_STREAM),  # trailers that do not end it
            (wire.headers(1, path, end=True), wire.RST_STREAM),
            (wire.headers(1, wire.field(b"A", b"b"), end=True), wire.RST_STREAM),
        ):
            assert ask_by_socket(tmp_path / "sock", good, rest)[0] == answer


def check_refused(loop: asyncio.AbstractEventLoop, path: Path) -> None:
    """Something that is no socket is in the way, and stays."""
    listener = Listener("", 0, asyncio.Protocol, loop=loop, unix_path=str(path))
    with pytest.raises(OSError, match=f"listen unix {path}: bind: address already in use"):
        listener.bind()
    listener.close()
    assert path.exists()


def test_files_around_a_socket(tmp_path: Path) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        path = tmp_path / "sock"

        def bind(where: Path) -> Listener:
            listener = Listener("", 0, asyncio.Protocol, loop=loop, unix_path=str(where))
            listener.bind()
            return listener

        old = bind(path)
        new = bind(path)  # what is left behind is removed, even where somebody still listens
        old.close()
        assert path.exists(), "the other one's file stays"
        new.close()
        assert not path.exists()
        path.write_text("data")
        check_refused(loop, path)
        path.unlink()
        path.mkdir()
        check_refused(loop, path)

    asyncio.run(scenario())


def test_unix_socket_and_second_listener_on_a_taken_port(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    started, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = GrpcServer(methods(), loop=loop)
        listener = Listener("", 0, server.connection, loop=loop, unix_path=str(path))
        await listener.start()
        tcp = Listener("127.0.0.1", 0, server.connection, loop=loop)
        tcp.bind()
        with pytest.raises(OSError, match="in use"):
            Listener("127.0.0.1", tcp.port, server.connection, loop=loop).bind()
        started.set()
        await loop.run_in_executor(None, stop.wait)
        tcp.close()
        listener.close()
        server.abort()

    thread = threading.Thread(target=lambda: uvloop.run(serve()))
    thread.start()
    try:
        assert started.wait(10)
        with BlockingChannel(f"unix:{path}") as channel:
            assert channel.unary(b"/test.Echo/Unary", b"x", timeout=10) == b"x"
    finally:
        stop.set()
        thread.join()
    assert not path.exists()
