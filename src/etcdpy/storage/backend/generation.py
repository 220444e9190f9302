"""One LMDB environment of a store, and the pointer that says which one counts.

    <store>/current           JSON: schema version, generation, origin; fsynced, atomically renamed
    <store>/lock              flocked while a process has the store open
    <store>/<generation>/     data.mdb, lock.mdb; while it is being built also a file `building`

Whatever replaces the whole content (defragmentation, a received snapshot, take-over of a bbolt file, a new schema)
builds a new generation beside the current one and then moves the pointer. Rules that make a crash at any moment
harmless:

  * A generation has the file `building` until the pointer names it. Its data is synced before the pointer moves.
  * At open, generations that the pointer does not name are removed. With no pointer at all only half-made ones may
    exist; a finished one without a pointer means that somebody lost the pointer, and is refused.
  * LMDB must not open one path twice in a process: every generation gets a new number.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

import lmdb

from etcdpy.base.invariant import StorageError
from etcdpy.storage.schema import buckets

SCHEMA_VERSION: Final = 1
# 1 TiB of address space, never resized: resizing invalidates readers.
MAP_BYTES: Final = 1 << 40
# LMDB's default; every process and every open view takes one slot.
READERS_MAX: Final = 126

_POINTER: Final = "current"
_BUILDING: Final = "building"


class Generation:
    """An open LMDB environment with one named database per bucket."""

    def __init__(self, path: Path, *, map_size: int = MAP_BYTES, readonly: bool = False) -> None:
        self.path = path
        self.pins = 0  # Views besides the backend's own reader; closed when retired and none is left.
        self.number = int(path.name)
        try:
            self.env = lmdb.open(
                os.fspath(path),
                map_size=map_size,
                max_dbs=buckets.COUNT,
                max_readers=READERS_MAX,
                mode=0o600,
                readonly=readonly,
            )
            self.dbs = tuple([self.env.open_db(name, create=not readonly) for name in buckets.NAMES])
        except lmdb.Error as error:
            raise StorageError(f"cannot open the store {path}: {error}") from error

    def close(self) -> None:
        """Close the environment. No transaction may be open."""
        self.env.close()


class Store:
    """The directory that holds the generations; locked while open."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            if not directory.exists():
                directory.mkdir(mode=0o700, parents=True)
                sync_directory(directory.parent)
            self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"cannot open the store {directory}: {error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise StorageError(f"the store {directory} is in use by another process") from error

    def close(self) -> None:
        """Release the lock."""
        os.close(self._lock)

    def find_current(self) -> Path | None:
        """Return the generation that counts, None in a new store; remove what crashes left behind."""
        number = self._read_pointer()
        for path in self._generations():
            if int(path.name) == number:
                continue
            if number is None and not (path / _BUILDING).exists():
                raise StorageError(
                    f"the store {self.directory} has the generation {path.name} but its pointer file "
                    f"{_POINTER!r} is missing: restore that file or remove the whole store"
                )
            self.remove(path)
        if number is None:
            return None
        current = self._path(number)
        if not (current / "data.mdb").exists():
            raise StorageError(f"the store {self.directory} points to generation {number}, which is missing")
        (current / _BUILDING).unlink(missing_ok=True)
        return current

    def begin_generation(self) -> Path:
        """Make the folder of a new generation, marked as half-made."""
        number = 1 + max((int(path.name) for path in self._generations()), default=0)
        path = self._path(number)
        path.mkdir(mode=0o700)
        (path / _BUILDING).touch(mode=0o600)
        sync_directory(path)
        sync_directory(self.directory)
        return path

    def finish_generation(self, path: Path, *, origin: str) -> None:
        """Make a built generation the current one. Its files are synced here, so it only has to be complete."""
        sync_file(path / "data.mdb")
        sync_directory(path)
        pointer = {"schema": SCHEMA_VERSION, "generation": int(path.name), "origin": origin}
        write_atomically(self.directory / _POINTER, json.dumps(pointer).encode() + b"\n")
        (path / _BUILDING).unlink()

    def remove(self, path: Path) -> None:
        """Remove a generation that does not count any more."""
        shutil.rmtree(path, ignore_errors=True)

    def read_origin(self) -> str | None:
        """Return how the current generation came to be: new, bbolt, snapshot or defragmentation."""
        pointer = self._read_pointer_fields()
        return None if pointer is None else str(pointer.get("origin", ""))

    def _path(self, number: int) -> Path:
        return self.directory / f"{number:08d}"

    def _generations(self) -> list[Path]:
        return sorted(path for path in self.directory.iterdir() if path.name.isdecimal() and path.is_dir())

    def _read_pointer_fields(self) -> dict[str, Any] | None:
        try:
            text = (self.directory / _POINTER).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read the pointer of the store {self.directory}: {error}") from error
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise StorageError(f"the pointer of the store {self.directory} is not readable: {error}") from error
        if not isinstance(fields, dict):
            raise StorageError(f"the pointer of the store {self.directory} is not readable: {text!r}")
        return fields

    def _read_pointer(self) -> int | None:
        fields = self._read_pointer_fields()
        if fields is None:
            return None
        schema, number = fields.get("schema"), fields.get("generation")
        if schema != SCHEMA_VERSION:
            raise StorageError(
                f"the store {self.directory} has schema version {schema}, this program knows {SCHEMA_VERSION}: "
                "it was written by another version of etcdpy"
            )
        if not isinstance(number, int) or number < 1:
            raise StorageError(f"the pointer of the store {self.directory} names no generation: {number!r}")
        return number


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that a crash leaves the old content or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)
    sync_directory(path.parent)


def sync_file(path: Path) -> None:
    """fsync a file that others wrote."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """fsync a directory: its names are safe afterwards."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
