"""A log file that is put aside when it has grown, with old ones compressed and deleted.

    etcd.log                                  written to
    etcd-2026-01-02T15-04-05.000.log          put aside at that time (UTC, or local with `localtime`)
    etcd-2026-01-02T15-04-05.000.log.gz       the same, compressed

A file is one put aside when a time stands where these have it; all others of the folder are left alone. How old one is
says its name, not the file system. Old ones are seen to after each rotation, and once after the start.

The names, the rules and the settings (`--log-rotation-config-json`) are those of etcd, which uses lumberjack. All of it
runs on the log's thread.
"""

from __future__ import annotations

import calendar
import gzip
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEGABYTE: Final = 1024 * 1024
DAY_SECONDS: Final = 86_400
MAX_SIZE_MEGABYTES_DEFAULT: Final = 100
STAMP_FORMAT: Final = "%Y-%m-%dT%H-%M-%S"
_STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)\.(\d{3})", re.ASCII)


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
        self._is_pruning_due = True  # What a run before this one left.
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
        # The line is safe by now, whatever becomes of the old files.
        if self._is_pruning_due:
            self._is_pruning_due = False
            self._prune()

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
            self._is_pruning_due = True

    def _backup_path(self) -> Path:
        now = self._wall()
        moment = time.localtime(now) if self._rotation.is_local_time else time.gmtime(now)
        stamp = f"{time.strftime(STAMP_FORMAT, moment)}.{int(now * 1000) % 1000:03d}"
        return self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}")

    def _backups(self) -> list[tuple[float, Path]]:
        """Return the files put aside with the time of each, newest first."""
        found = [(self._read_time(entry.name), entry) for entry in self._path.parent.iterdir()]
        return sorted([(moment, entry) for moment, entry in found if moment is not None], reverse=True)

    def _read_time(self, name: str) -> float | None:
        """Return the time in the name of a file that was put aside; None of all others."""
        prefix, suffix = self._path.stem + "-", self._path.suffix
        rest = name.removesuffix(".gz")
        if not rest.startswith(prefix) or not rest.endswith(suffix) or len(rest) < len(prefix) + len(suffix):
            return None
        stamp = _STAMP.fullmatch(rest[len(prefix) : len(rest) - len(suffix)])
        if stamp is None:
            return None
        try:
            moment = time.strptime(stamp[1], STAMP_FORMAT)
        except ValueError:
            return None
        seconds = time.mktime(moment) if self._rotation.is_local_time else calendar.timegm(moment)
        return seconds + int(stamp[2]) / 1000

    def _prune(self) -> None:
        oldest = self._wall() - self._rotation.max_age_days * DAY_SECONDS if self._rotation.max_age_days else 0
        for position, (moment, backup) in enumerate(self._backups()):
            is_too_many = self._rotation.max_backups and position >= self._rotation.max_backups
            if is_too_many or moment < oldest:
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
