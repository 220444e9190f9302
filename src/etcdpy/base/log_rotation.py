"""A log file that is put aside when it has grown, with old ones compressed and deleted.

    etcd.log                                  written to
    etcd-2026-01-02T15-04-05.000.log          put aside at that time (UTC, or local with `localtime`)
    etcd-2026-01-02T15-04-05.000.log.gz       the same, compressed

The names, the rules and the settings (`--log-rotation-config-json`) are those of etcd, which uses lumberjack. All of it
runs on the log's thread.
"""

from __future__ import annotations

import gzip
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEGABYTE: Final = 1024 * 1024
DAY_SECONDS: Final = 86_400
MAX_SIZE_MEGABYTES_DEFAULT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    max_size_megabytes: int = MAX_SIZE_MEGABYTES_DEFAULT  # 0: the default
    max_age_days: int = 0  # 0: kept for ever
    max_backups: int = 0  # 0: all
    is_local_time: bool = False
    is_compressed: bool = False


class RotatingFile:
    """One file and the ones put aside from it."""

    def __init__(self, path: Path, rotation: Rotation, wall: Callable[[], float] = time.time) -> None:
        self._path = path
        self._rotation = rotation
        self._wall = wall
        self._size_max = (rotation.max_size_megabytes or MAX_SIZE_MEGABYTES_DEFAULT) * MEGABYTE
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = self._open()
        self._size = os.fstat(self._descriptor).st_size  # Invariant: bytes of the file at _path.

    def write(self, line: bytes) -> None:
        if self._size and self._size + len(line) > self._size_max:
            self._rotate()
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._size += len(line)

    def close(self) -> None:
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _rotate(self) -> None:
        os.close(self._descriptor)
        try:
            os.rename(self._path, self._backup_path())
        finally:
            # Whatever became of the old file, the log goes on.
            self._descriptor = self._open()
            self._size = os.fstat(self._descriptor).st_size
        self._prune()

    def _backup_path(self) -> Path:
        now = self._wall()
        moment = time.localtime(now) if self._rotation.is_local_time else time.gmtime(now)
        stamp = f"{time.strftime('%Y-%m-%dT%H-%M-%S', moment)}.{int(now * 1000) % 1000:03d}"
        return self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}")

    def _backups(self) -> list[Path]:
        """Return the files put aside, newest first: their names sort by time."""
        prefix, suffix = self._path.stem + "-", self._path.suffix
        found = [
            entry
            for entry in self._path.parent.iterdir()
            if entry.name.startswith(prefix) and entry.name.removesuffix(".gz").endswith(suffix)
        ]
        return sorted(found, key=lambda entry: entry.name, reverse=True)

    def _prune(self) -> None:
        backups = self._backups()
        oldest = self._wall() - self._rotation.max_age_days * DAY_SECONDS if self._rotation.max_age_days else 0
        for position, backup in enumerate(backups):
            is_too_many = self._rotation.max_backups and position >= self._rotation.max_backups
            if is_too_many or backup.stat().st_mtime < oldest:
                backup.unlink()
            elif self._rotation.is_compressed and backup.suffix != ".gz":
                _compress(backup)


def _compress(path: Path) -> None:
    """Replace a file by its compressed form; a crash in between leaves the uncompressed one."""
    partial = path.with_name(path.name + ".gz.tmp")
    with open(path, "rb") as source, gzip.open(partial, "wb") as target:
        shutil.copyfileobj(source, target)
    os.replace(partial, path.with_name(path.name + ".gz"))
    path.unlink()
