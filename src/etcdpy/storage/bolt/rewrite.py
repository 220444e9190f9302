"""Writes a bbolt file anew from another: without its free pages, and where asked with other content in small buckets.

    defragment   the same content, compact, in the place of the old file
    restore      a snapshot's content, with the members of the cluster that it founds

Items stream from reader to writer, a page at a time: memory does not grow with the file. The new file is complete and
synced before it takes a name that counts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from etcdpy.base.invariant import StorageError
from etcdpy.storage.bolt.reader import BoltReader, Item
from etcdpy.storage.bolt.writer import BoltWriter

WRITE_BUFFER_BYTES: Final = 1024 * 1024
# etcd's own unfinished defragmentations are called db.tmp.<number>; a start removes what is called so.
TEMPORARY_SUFFIX: Final = ".tmp.rewrite"


def rewrite_bolt(reader: BoltReader, target: Path, replaced: Mapping[bytes, list[Item]]) -> int:
    """Write `target` with all buckets of the reader, those of `replaced` with these sorted items instead.

    Return its size. Raise StorageError; a half-written file is left to the caller.
    """
    names = sorted({*reader.bucket_names(), *replaced})
    try:
        with open(target, "xb", buffering=WRITE_BUFFER_BYTES, opener=_open_private) as file:
            writer = BoltWriter(file, page_bytes=reader.meta.page_bytes)
            for name in names:
                writer.add_bucket(name, [replaced[name]] if name in replaced else reader.iterate(name))
            size = writer.finish()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error}") from error
    return size


def defragment_bolt(reader: BoltReader, path: Path) -> int:
    """Put a compact copy in the place of `path`, which the reader has open; return its size. Raise StorageError."""
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    temporary.unlink(missing_ok=True)
    try:
        size = rewrite_bolt(reader, temporary, {})
        os.rename(temporary, path)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"cannot replace {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return size


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
