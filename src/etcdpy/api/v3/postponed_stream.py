"""A streaming call that is opened later: something must be known first, who calls for example.

    arrives > nothing of it is read > open() > the handler takes over, and everything is read in order

Who goes away meanwhile is forgotten: a handler that was never opened is told nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from etcdpy.base.errors import EtcdError
from etcdpy.transport.grpc.call import Call, StreamHandler


class PostponedStream:
    """Stands where the handler will be: the transport's StreamHandler."""

    def __init__(self, call: Call, opener: Callable[[Call], StreamHandler]) -> None:
        self._call = call
        self._opener = opener
        self._handler: StreamHandler | None = None
        self._is_ended = False
        self._is_closed = False
        call.pause_reading()

    def open(self) -> None:
        """What was waited for is there."""
        if self._is_closed:
            return
        if not self._call.closed:
            self._open_now()
        # Also for one that is gone: its end is told after what it sent was read.
        self._call.resume_reading()

    def _open_now(self) -> None:
        try:
            self._handler = self._opener(self._call)
        except EtcdError as error:
            self.fail(error)
            return
        if self._is_ended:
            self._handler.on_end()

    def fail(self, error: EtcdError) -> None:
        """It will not be there: end the call."""
        if not self._is_closed and not self._call.closed:
            self._call.fail(error.code, error.text)

    # -- StreamHandler; nothing comes before `open` but the end of a call

    def on_message(self, message: bytes, /) -> None:
        if self._handler is not None:
            self._handler.on_message(message)

    def on_end(self) -> None:
        self._is_ended = True
        if self._handler is not None:
            self._handler.on_end()

    def on_close(self, error: int, /) -> None:
        self._is_closed = True
        if self._handler is not None:
            self._handler.on_close(error)

    def on_drain(self) -> None:
        if self._handler is not None:
            self._handler.on_drain()
