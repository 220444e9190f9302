"""Standard output and error that die of a closed pipe, as those of compiled tools do.

A signal would be simpler and wrong: SIGPIPE does not say which descriptor it is about. A server that closes its
connection, or an event loop's own wake-up pipe while it ends, must be an error to handle, not the end of everything.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Descriptor(io.FileIO):
    """An open descriptor whose reader may go away."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGPIPE)
            raise


def die_of_closed_output() -> None:
    """Let the whole process end, silently and by SIGPIPE, when it writes to a standard output nobody reads."""
    sys.stdout, sys.stderr = _dying(sys.stdout), _dying(sys.stderr)


def _dying(stream: TextIO) -> TextIO:
    buffer = io.BufferedWriter(_Descriptor(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(
        buffer, encoding=stream.encoding, errors=stream.errors, line_buffering=getattr(stream, "line_buffering", False)
    )
