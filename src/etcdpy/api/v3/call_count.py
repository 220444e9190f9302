"""Calls that come through the JSON gateway are counted like those over a socket: grpc_server_* in /metrics.

etcd's gateway is a client of its own server, so its calls are among those that the server counts. Calls that Lock and
Election make inside of the server are not, there and here.
"""

from __future__ import annotations

import time

from etcdpy.transport.http2._nghttp2 import Method


class CallCount:
    """Counts one call. Without a method, nothing."""

    __slots__ = ("_method", "_began", "_has_ended")

    def __init__(self, method: Method | None, client_version: bytes | None = None) -> None:
        self._method = method
        self._began = time.perf_counter()
        self._has_ended = method is None
        if method is not None:
            method.count_begun(client_version)

    def received(self, message: bytes) -> None:
        if self._method is not None:
            self._method.messages_received += 1
            self._method.bytes_received += len(message)

    def sent(self, message: bytes) -> None:
        if self._method is not None:
            self._method.messages_sent += 1
            self._method.bytes_sent += len(message)

    def ended(self, code: int) -> None:
        """The call has a status; what comes after the first one does not count."""
        if self._has_ended:
            return
        self._has_ended = True
        assert self._method is not None
        self._method.count_ended(code)
        if self._method.observe is not None:
            self._method.observe(time.perf_counter() - self._began)
