"""A gRPC server that answers every call with nothing: what the load client can do is measured against it."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from benchmarks import messages
from benchmarks.clients.protocol import READY
from etcdpy.transport.grpc import Call, GrpcServer, UnaryMethod
from etcdpy.transport.listener import Listener


def answer_empty(call: Call) -> None:
    call.respond(b"")


async def serve() -> None:
    """Serve until the parent closes our stdin."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    server = GrpcServer({messages.PUT_PATH: UnaryMethod(answer_empty)}, loop=loop)
    listener = Listener("127.0.0.1", 0, server.connection, loop=loop)
    await listener.start()
    loop.add_reader(sys.stdin, over.set)
    print(READY.decode(), listener.port, flush=True)
    await over.wait()
    loop.remove_reader(sys.stdin)
    listener.close()
    server.abort()


if __name__ == "__main__":
    uvloop.run(serve())
