"""Writes a store as a bbolt file, in a process of its own: the member that serves clients loses no time to it.

    python -m etcdpy.storage.bolt.export GENERATION CONSISTENT_INDEX FILE

It opens LMDB read-only and says on standard output, one line each:

    opened <consistent index>        the view is fixed: the member may commit again
    done <bytes> <sha256 in hex>     the file is complete

A reader of LMDB gets the latest commit, never an older one: the member holds commits back until "opened". Finding
another index than expected is an error. The parent is backend.export_job.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from etcdpy.base.invariant import StorageError
from etcdpy.storage.backend.generation import Generation
from etcdpy.storage.backend.reader import Item, Reader
from etcdpy.storage.bolt.writer import BoltWriter
from etcdpy.storage.schema import buckets, meta

# The member comes first: it shares the cores with us.
NICENESS: Final = 5
WRITE_BUFFER_BYTES: Final = 1024 * 1024


def write_bolt(reader: Reader, path: Path) -> int:
    """Write all buckets as a bbolt file; return its size."""
    with open(path, "wb", buffering=WRITE_BUFFER_BYTES, opener=_open_private) as file:
        writer = BoltWriter(file)
        for bucket in buckets.ALL:
            writer.add_bucket(buckets.NAMES[bucket], _chunks(reader, bucket))
        return writer.finish()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(generation_path: Path, expected_index: int, path: Path) -> None:
    """Do what the module's text says. Raise StorageError."""
    generation = Generation(generation_path, readonly=True)
    reader = Reader(generation)
    index = meta.decode_u64(reader.get(buckets.META, meta.CONSISTENT_INDEX))
    if index != expected_index:
        raise StorageError(f"the store is at index {index}, the export expects {expected_index}")
    print(f"opened {index}", flush=True)
    size = write_bolt(reader, path)
    reader.close()
    generation.close()
    print(f"done {size} {hash_file(path)}", flush=True)


def main(arguments: list[str]) -> int:
    """Run the child process; return its exit status."""
    os.nice(NICENESS)
    try:
        run(Path(arguments[0]), int(arguments[1]), Path(arguments[2]))
    except (StorageError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    return 0


def _chunks(reader: Reader, bucket: buckets.Bucket) -> Iterator[list[Item]]:
    return reader.iterate_chunks(bucket, b"", None)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
