"""Client connections for load: the compiled session with nothing around it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from benchmarks.process import BenchError
from etcdpy.transport.grpc.client_call import (
    ANSWER_BYTES_MAX,
    CONNECTION_WINDOW_BYTES,
    STREAM_WINDOW_BYTES,
    Address,
    ClientHooks,
    base_headers,
    failure,
)
from etcdpy.transport.http2._nghttp2 import Endpoint, Session, Stream


class LoadHooks(ClientHooks):
    """Whatever goes wrong ends the run: a load that was refused measures nothing."""

    def __init__(self, over: asyncio.Future[None]) -> None:
        self._over = over

    def failed(self, call: Stream, error: Exception) -> None:
        fail(self._over, error)

    def lost(self, session: Session, error: BaseException | None) -> None:
        fail(self._over, BenchError(f"a connection was lost: {error}"))


def fail(over: asyncio.Future[None], error: Exception) -> None:
    """End the run with an error, unless it is over."""
    if not over.done():
        over.set_exception(error)


async def wait_or_lost(over: asyncio.Future[None], lost: asyncio.Future[None]) -> None:
    """Wait for the end of a part; raises what `lost` says when that comes first."""
    await asyncio.wait((over, lost), return_when=asyncio.FIRST_COMPLETED)
    for future in (lost, over):
        if future.done():
            future.result()


def check_answered(call: Stream) -> None:
    """Raise unless the call ended with status OK. Not on the fast path: compare `grpc_status` there."""
    error = failure(call)
    if error is not None:
        raise BenchError(f"refused: {error}")


async def connect(address: str, count: int, over: asyncio.Future[None]) -> list[Session]:
    """Open connections; they share one endpoint, and so one flush per turn of the loop."""
    loop = asyncio.get_running_loop()
    where = Address(address)
    endpoint = Endpoint(
        loop,
        server=False,
        hooks=LoadHooks(over),
        base_headers=base_headers(where, tls=False),
        message_bytes_max=ANSWER_BYTES_MAX,
        stream_window_bytes=STREAM_WINDOW_BYTES,
        connection_window_bytes=CONNECTION_WINDOW_BYTES,
    )
    made = [await loop.create_connection(lambda: Session(endpoint), where.host, where.port) for _ in range(count)]
    return [session for _, session in made]


def close(sessions: Sequence[Session]) -> None:
    for session in sessions:
        session.flush()
        session.close()
