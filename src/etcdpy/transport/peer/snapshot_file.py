"""A database on its way from a peer to our disk.

    member/snap/tmp<number>         while it grows; what a crash leaves is removed at the next start
    member/snap/%016x.snap.db       whole and synced, named by the snapshot's index

Rules
  * Bytes wait in memory up to a limit; then the connection is not read until a thread has written them.
  * The log lives on the same disk, and a member that cannot write its log dies: a snapshot never takes the last of the
    space.

Upstream: snap.Snapshotter.SaveDBFrom.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
from collections.abc import Callable
from functools import partial
from typing import Final

from etcdpy.transport.peer.tasks import run_on_thread

# What may wait: a few pieces of what a thread writes at once.
WAITING_BYTES_MAX: Final = 4 << 20
# Twice what the log takes for its next segment (64 MB), and some.
SPACE_KEPT_BYTES: Final = 192 << 20
_NAMES_TRIED_MAX: Final = 100


class SnapshotFile:
    """Give it bytes with `feed`; `finish` or `discard` it. `on_room` is called when a full one takes bytes again."""

    def __init__(self, directory: str, index: int, *, rng: random.Random, on_room: Callable[[], None]) -> None:
        self._directory = directory
        self._final_path = os.path.join(directory, f"{index:016x}.snap.db")
        self._rng = rng
        self._on_room = on_room
        self._path = ""
        self._fd = -1
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._is_whole = False
        self.size_bytes = 0

    @property
    def is_full(self) -> bool:
        return self._waiting_bytes > WAITING_BYTES_MAX

    def feed(self, data: bytes) -> None:
        """Take bytes. The caller stops reading while the file is full."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._wake.set()

    def end(self) -> None:
        """No more bytes come."""
        self._is_whole = True
        self._wake.set()

    async def wait_saved(self, expected_bytes: int) -> str:
        """Write what is fed until `end`, make it durable, return its path. Raise OSError; then `discard`.

        `expected_bytes` is what is known of its size, 0 if nothing is.
        """
        await run_on_thread(lambda: self._open(expected_bytes))
        while True:
            if not self._waiting and not self._is_whole:
                self._wake.clear()
                await self._wake.wait()
            pieces, self._waiting = self._waiting, []
            if pieces:
                await run_on_thread(partial(self._write, pieces))
                # Counted off only now: what a thread still writes takes memory, too.
                was_full = self.is_full
                self._waiting_bytes -= sum(map(len, pieces))
                if was_full and not self.is_full:
                    self._on_room()
            else:
                await run_on_thread(self._finish)
                return self._final_path

    def discard(self) -> None:
        """Remove what there is of it. Harmless after the file is whole and named."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            self._path = ""

    # ---- on a thread

    def _open(self, expected_bytes: int) -> None:
        self._check_space(expected_bytes)
        for _ in range(_NAMES_TRIED_MAX):
            path = os.path.join(self._directory, f"tmp{self._rng.randrange(1 << 32)}")
            try:
                self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                continue
            self._path = path
            return
        raise FileExistsError(errno.EEXIST, "no free name for a received snapshot", self._directory)

    def _write(self, pieces: list[bytes]) -> None:
        data = b"".join(pieces)
        self._check_space(len(data))
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self.size_bytes += len(data)

    def _check_space(self, size_bytes: int) -> None:
        space = os.statvfs(self._directory)
        if space.f_bavail * space.f_frsize < size_bytes + SPACE_KEPT_BYTES:
            raise OSError(errno.ENOSPC, "no space left for a received snapshot", self._directory)

    def _finish(self) -> None:
        os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1
        os.rename(self._path, self._final_path)
        self._path = ""
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
