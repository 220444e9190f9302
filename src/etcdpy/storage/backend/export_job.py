"""A snapshot of the store as a bbolt file, made by a child process.

    waiting -> committing -> opening (commits still held) -> writing (commits go on) -> done

From the moment when `index` is set the file's content is decided: it holds exactly the effects up to that entry. Who
needs the v2 store and the configuration of the same moment takes them when `on_decided` is called.

The child is started by exec, never by a bare fork of a process with threads; the protocol is that of bolt.export.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import etcdpy
from etcdpy.base.invariant import InvariantError
from etcdpy.storage.backend.jobs import Host, JobError

# Starting Python takes 0.1 s, on a machine that swaps perhaps ten; commits are held back all the while.
OPEN_SECONDS_MAX: Final = 30.0

_WAITING: Final = 0
_COMMITTING: Final = 1
_OPENING: Final = 2
_WRITING: Final = 3
_OVER: Final = 4


class ExportJob:
    """One export; made by Backend.start_export, moved on by Backend.poll."""

    def __init__(self, host: Host, path: Path, on_decided: Callable[[], None] | None = None) -> None:
        self.path = path
        self._on_decided = on_decided
        self.index: int | None = None  # Raft index and term of the content, as soon as they are decided.
        self.term: int | None = None
        self._size: int | None = None
        self._sha256: bytes | None = None
        self._host = host
        self._stage = _WAITING
        self._error: JobError | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._output = b""
        self._deadline = 0.0

    def poll(self) -> bool:
        """Return whether the file is complete. Raise JobError if it never will be."""
        if self._error is not None:
            raise self._error
        return self._stage == _OVER

    @property
    def size(self) -> int:
        """Bytes of the complete file."""
        if self._size is None:
            raise InvariantError("the export is not complete")
        return self._size

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the complete file."""
        if self._sha256 is None:
            raise InvariantError("the export is not complete")
        return self._sha256

    def step(self, now: float) -> None:
        """Go on as far as possible without blocking."""
        try:
            if self._stage == _WAITING:
                self._maybe_commit()
            elif self._stage == _COMMITTING:
                if not self._host.is_committing():
                    self._start_child(now)
            else:
                self._read_child(now)
        except OSError as error:
            self._fail(f"export: {error}")

    def is_over(self) -> bool:
        """Return whether it has ended, well or not."""
        return self._stage == _OVER

    def needs_poll(self) -> bool:
        """Return whether the next step does not wait for the child."""
        return self._stage == _WAITING and not self._host.is_committing() and self._host.may_hold(self)

    def fileno(self) -> int | None:
        """Return a descriptor that becomes readable when the child has news, None while there is no child."""
        if self._child is None or self._child.stdout is None or self._child.stdout.closed:
            return None
        return self._child.stdout.fileno()

    def cancel(self) -> None:
        """End the child, give commits free, remove what was written."""
        if self._stage != _OVER:
            self._fail("export: cancelled")

    def _maybe_commit(self) -> None:
        if self._host.hold_commits(self) and self._host.commit_held(self):
            self.index = self._host.consistent_index
            self.term = self._host.term
            self._stage = _COMMITTING
            if self._on_decided is not None:
                self._on_decided()

    def _start_child(self, now: float) -> None:
        # The child imports the same sources, wherever the embedding program found them.
        sources = os.fspath(Path(etcdpy.__file__).resolve().parent.parent)
        path = os.pathsep.join([sources, *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-m", "etcdpy.storage.bolt.export"]
        arguments = [os.fspath(self._host.generation.path), str(self.index), os.fspath(self.path)]
        self._child = subprocess.Popen(
            command + arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self._child.stdout is not None
        os.set_blocking(self._child.stdout.fileno(), False)
        self._deadline = now + OPEN_SECONDS_MAX
        self._stage = _OPENING

    def _read_child(self, now: float) -> None:
        assert self._child is not None and self._child.stdout is not None
        try:
            news = os.read(self._child.stdout.fileno(), 4096)
        except BlockingIOError:
            if self._stage == _OPENING and now >= self._deadline:
                self._fail(f"export: the child did not open the store within {OPEN_SECONDS_MAX:g} s")
            return
        self._output += news
        *lines, self._output = self._output.split(b"\n")
        for line in lines:
            self._on_line(line.split())
        if not news and self._stage != _OVER:
            self._fail(f"export: {self._last_words()}")

    def _on_line(self, words: list[bytes]) -> None:
        if self._stage == _OPENING and words == [b"opened", b"%d" % (self.index or 0)]:
            self._host.release_commits(self)
            self._stage = _WRITING
        elif self._stage == _WRITING and len(words) == 3 and words[0] == b"done":
            self._size = int(words[1])
            self._sha256 = bytes.fromhex(words[2].decode())
            self._end_child(kill=False)
            self._stage = _OVER

    def _last_words(self) -> str:
        assert self._child is not None and self._child.stderr is not None
        text = self._child.stderr.read().decode(errors="replace").strip()
        return text.rpartition("\n")[2] or f"the child ended with status {self._child.wait()}"

    def _fail(self, text: str) -> None:
        self._error = JobError(text)
        self._stage = _OVER
        self._end_child(kill=True)
        self._host.release_commits(self)
        self.path.unlink(missing_ok=True)

    def _end_child(self, *, kill: bool) -> None:
        child = self._child
        if child is None:
            return
        if kill:
            child.kill()
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
