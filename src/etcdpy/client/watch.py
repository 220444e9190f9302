"""A watch of the synchronous client: iterate over it for ever, or `read` with a timeout.

    for response in client.watch(watch_request(b"k", prefix=True)):
        for event in response.events: ...

A lost stream is opened again, on another endpoint if need be, and goes on after the last event seen (`watch_state`).
A watch that the server cancels ends after the response that says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from etcdpy.base.errors import UNAVAILABLE, EtcdError
from etcdpy.client import errors, method
from etcdpy.client.watch_state import WatchState
from etcdpy.pb import rpc_pb2 as rpc

if TYPE_CHECKING:
    from etcdpy.client.client import Client
    from etcdpy.transport.grpc.blocking import BlockingStream

# As etcd's client: the pause before a stream that broke is opened again.
REOPEN_SECONDS: Final = 0.1
# The error a stream ends with when its member stops; the watch goes on elsewhere.
_RESUMABLE: Final = (UNAVAILABLE,)


class Watcher:
    """One watch on a stream of its own."""

    def __init__(self, client: Client, request: rpc.WatchCreateRequest) -> None:
        self._client = client
        self._state = WatchState(request)
        self._stream: BlockingStream | None = None

    def read(self, timeout: float | None = None) -> rpc.WatchResponse | None:
        """Return the next response, or None after a cancellation. Raises TimeoutError when none came in time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._state.canceled:
            try:
                response = self._read_stream(deadline)
            except EtcdError as error:
                self._stream = None
                if error.code not in _RESUMABLE:
                    raise errors.client_error(error) from None
                time.sleep(REOPEN_SECONDS)
                continue
            seen = self._state.take(response)
            if seen is not None:
                return seen
        return None

    def request_progress(self) -> None:
        """Ask the server how far the watch has come; the answer is a response without events."""
        self._open().write(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()).SerializeToString())

    def close(self) -> None:
        """End the watch."""
        self._state.canceled = True
        if self._stream is not None:
            self._stream.cancel()

    def __iter__(self) -> Iterator[rpc.WatchResponse]:
        while (response := self.read()) is not None:
            yield response

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _read_stream(self, deadline: float | None) -> rpc.WatchResponse:
        stream = self._open()
        message = stream.read(None if deadline is None else max(deadline - time.monotonic(), 0.0))
        if message is None:
            raise EtcdError("the server ended the watch stream", UNAVAILABLE)
        return rpc.WatchResponse.FromString(message)

    def _open(self) -> BlockingStream:
        if self._stream is None:
            self._stream = self._client.open_stream(method.WATCH_PATH)
            self._stream.write(self._state.create_request().SerializeToString())
        return self._stream
