"""Where log lines go: standard streams, files (rotated or not), the journal; and the thread that takes them there.

LogPipe is the only part that several threads touch. `write` never waits for an output. What it promises:

  * Lines leave in the order in which they came in.
  * At most QUEUED_LINES_MAX wait; further ones are counted and dropped, and a line tells how many.
  * `close` returns after everything queued was written, or after CLOSE_SECONDS when an output is stuck.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from etcdpy.base.log_rotation import RotatingFile, Rotation

__all__ = ["JournalOutput", "LogPipe", "Output", "Rotation", "StreamOutput", "open_outputs"]

DEFAULT_OUTPUT: Final = "default"
JOURNAL_OUTPUT: Final = "systemd/journal"
JOURNAL_SOCKET: Final = "/run/systemd/journal/socket"

# Some minutes of ordinary logging, some 2 MB.
QUEUED_LINES_MAX: Final = 10_000
# A stuck output must not keep a stopped member alive.
CLOSE_SECONDS: Final = 2.0

STDOUT: Final = 1
STDERR: Final = 2


class Output(Protocol):
    def write(self, line: bytes) -> None:
        """Write one line. May wait; raises OSError when it cannot."""

    def close(self) -> None: ...


class StreamOutput:
    """A file descriptor, owned or borrowed."""

    def __init__(self, descriptor: int, *, is_owned: bool = False) -> None:
        self._descriptor = descriptor
        self._is_owned = is_owned

    def write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def close(self) -> None:
        if self._is_owned:
            os.close(self._descriptor)


class JournalOutput:
    """systemd's journal, by its native protocol; standard error when it cannot be reached, as etcd does."""

    _PRIORITIES: Final = {"debug": 7, "info": 6, "warn": 4, "error": 3, "dpanic": 2, "panic": 2, "fatal": 2}

    def __init__(self, address: str = JOURNAL_SOCKET) -> None:
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._fallback = StreamOutput(STDERR)

    def write(self, line: bytes) -> None:
        level = json.loads(line).get("level", "info")
        head = f"PRIORITY={self._PRIORITIES.get(level, 6)}\nSYSLOG_IDENTIFIER=etcd\n"
        try:
            self._socket.sendto(head.encode() + b"MESSAGE=" + line, self._address)
        except OSError:
            self._fallback.write(line)

    def close(self) -> None:
        self._socket.close()


class LogOutputError(OSError):
    """An output of `--log-outputs` cannot be used; `str()` is etcd's text."""


def open_outputs(names: Sequence[str], rotation: Rotation | None = None) -> list[Output]:
    """Open what `--log-outputs` names."""
    if DEFAULT_OUTPUT in names and len(names) > 1:
        raise LogOutputError(f'multi logoutput for "{DEFAULT_OUTPUT}" is not supported yet')
    if rotation is not None:
        check_is_single_file(names)
    outputs: list[Output] = []
    try:
        for name in dict.fromkeys(names):
            outputs.append(_open_output(name, rotation))
    except BaseException:
        for output in outputs:
            output.close()
        raise
    return outputs


def check_is_single_file(names: Sequence[str]) -> None:
    """Raise LogOutputError unless `names` is one path of a file: nothing else can be rotated."""
    if len(names) != 1 or names[0] in (DEFAULT_OUTPUT, JOURNAL_OUTPUT, "stderr", "stdout"):
        raise LogOutputError("--log-outputs requires a single file path when --log-rotate-config-json is defined")


def _open_output(name: str, rotation: Rotation | None) -> Output:
    if name in (DEFAULT_OUTPUT, "stderr"):
        return StreamOutput(STDERR)
    if name == "stdout":
        return StreamOutput(STDOUT)
    if name == JOURNAL_OUTPUT:
        if not os.path.exists(JOURNAL_SOCKET):
            reason = f"dial unixgram {JOURNAL_SOCKET}: connect: no such file or directory"
            raise LogOutputError(f"can't find journal ({reason})")
        return JournalOutput()
    try:
        if rotation is not None:
            return RotatingFile(Path(name), rotation)
        return StreamOutput(os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), is_owned=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LogOutputError(f'couldn\'t open sink "{name}": open {name}: {reason}') from error


class LogPipe:
    """A queue, and the thread at its other end."""

    def __init__(self, outputs: Sequence[Output], *, queued_lines_max: int = QUEUED_LINES_MAX) -> None:
        self._outputs = list(outputs)
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._queued_lines_max = queued_lines_max
        self._dropped_lines = 0
        self._is_closed = False
        # A daemon, so that a stuck output cannot keep the process; atexit sees to what is queued.
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, line: bytes) -> None:
        if self._is_closed:
            return
        if self._queue.qsize() >= self._queued_lines_max:
            self._dropped_lines += 1
            return
        if self._dropped_lines:
            dropped, self._dropped_lines = self._dropped_lines, 0
            note = {"level": "warn", "msg": "log lines were dropped: the output was too slow", "dropped-lines": dropped}
            self._queue.put(json.dumps(note, separators=(",", ":")).encode() + b"\n")
        self._queue.put(line)

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        atexit.unregister(self.close)
        self._queue.put(None)
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            return
        for output in self._outputs:
            output.close()

    def _write_all(self) -> None:
        while (line := self._queue.get()) is not None:
            for output in self._outputs:
                try:
                    output.write(line)
                except OSError:
                    # Nobody is left to be told: the log is where it would be told.
                    continue
