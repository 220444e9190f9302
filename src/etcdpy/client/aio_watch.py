"""A watch of the asynchronous client: `async for response in client.watch(watch_request(b"k", prefix=True))`.

A lost stream is opened again, on another endpoint if need be, and goes on after the last event seen (`watch_state`).
A watch that the server cancels ends after the response that says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from etcdpy.base.errors import UNAVAILABLE, EtcdError
from etcdpy.client import errors, method
from etcdpy.client.watch import REOPEN_SECONDS
from etcdpy.client.watch_state import WatchState
from etcdpy.pb import rpc_pb2 as rpc

if TYPE_CHECKING:
    from etcdpy.client.aio import AsyncClient
    from etcdpy.transport.grpc.channel import ClientStream


class AsyncWatcher:
    """One watch on a stream of its own. One task reads; others may ask for progress or close it."""

    def __init__(self, client: AsyncClient, request: rpc.WatchCreateRequest) -> None:
        self._client = client
        self._state = WatchState(request)
        self._opening = asyncio.Lock()
        self._stream: ClientStream | None = None

    async def read(self) -> rpc.WatchResponse | None:
        """Return the next response, or None after a cancellation."""
        while not self._state.canceled:
            try:
                stream = await self._open()
                message = await stream.read()
                if message is None:
                    raise EtcdError("the server ended the watch stream", UNAVAILABLE)
            except EtcdError as error:
                self._stream = None
                if self._state.canceled:
                    return None
                if error.code != UNAVAILABLE:
                    raise errors.client_error(error) from None
                await asyncio.sleep(REOPEN_SECONDS)
                continue
            seen = self._state.take(rpc.WatchResponse.FromString(message))
            if seen is not None:
                return seen
        return None

    async def request_progress(self) -> None:
        """Ask the server how far the watch has come; the answer is a response without events."""
        stream = await self._open()
        await stream.write(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()).SerializeToString())

    def close(self) -> None:
        """End the watch; a task that reads it gets None."""
        self._state.canceled = True
        if self._stream is not None:
            self._stream.cancel()

    async def __aiter__(self) -> AsyncIterator[rpc.WatchResponse]:
        while (response := await self.read()) is not None:
            yield response

    async def _open(self) -> ClientStream:
        async with self._opening:
            if self._stream is None:
                stream = await self._client.open_stream(method.WATCH_PATH)
                await stream.write(self._state.create_request().SerializeToString())
                self._stream = stream
            return self._stream
