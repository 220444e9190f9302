"""A server process for tests: unary echo, streaming echo, large answers, and HTTP/1.1, on one port.

python echo_server.py [PORT]: prints the port, serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from etcdpy.transport.grpc import Call, GrpcServer, StreamMethod, UnaryMethod
from etcdpy.transport.http1 import HttpServer
from etcdpy.transport.listener import Listener
from etcdpy.transport.mux import Mux

LARGE_BYTES = 8 << 20


class EchoStream:
    """Sends every message back; stops reading while the client does not read."""

    def __init__(self, call: Call) -> None:
        self.call = call

    def on_message(self, message: bytes, /) -> None:
        if not self.call.write(message):
            self.call.pause_reading()

    def on_drain(self) -> None:
        self.call.resume_reading()

    def on_end(self) -> None:
        self.call.finish()

    def on_close(self, error: int, /) -> None:
        pass


def echo(call: Call) -> None:
    call.respond(call.message)


def large(call: Call) -> None:
    call.respond(bytes(LARGE_BYTES))


def never(call: Call) -> None:
    call.user = call.message  # answered by nobody: the deadline has to


def methods() -> dict[bytes, UnaryMethod | StreamMethod]:
    return {
        b"/test.Echo/Unary": UnaryMethod(echo),
        b"/test.Echo/Large": UnaryMethod(large),
        b"/test.Echo/Never": UnaryMethod(never),
        b"/test.Echo/Stream": StreamMethod(EchoStream),
    }


async def http_app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the size of the body."""
    size = 0
    while True:
        event = await receive()
        size += len(event.get("body", b""))
        if not event.get("more_body"):
            break
    body = b"%d" % size
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = GrpcServer(methods(), loop=loop)
    mux = Mux(loop=loop, http2=server, http1=HttpServer(http_app, loop=loop))
    listener = Listener("127.0.0.1", port, mux.connection, loop=loop)
    await listener.start()
    print(listener.port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    listener.close()
    server.close_gracefully()


class RunningServer:
    """The process as a test sees it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def resident_bytes(self) -> int:
        """Memory in use, as the kernel counts it."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the server has ended")


@contextmanager
def running_server() -> Iterator[RunningServer]:
    """Start the server as a process, end it afterwards."""
    process = subprocess.Popen(
        [sys.executable, __file__, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield RunningServer(process, int(process.stdout.readline()))
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
