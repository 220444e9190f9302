"""What `snapshot status` tells about a file: a hash over everything in it, revision, number of keys, size."""

from __future__ import annotations

import os
import stat
from typing import Final

import google_crc32c

from etcdpy.cli.etcdctl.printer.base import SnapshotStatus
from etcdpy.storage.bolt.pages import PAGE_BYTES_MIN, BoltError, decode_meta
from etcdpy.storage.bolt.reader import BoltReader

# The bucket of all key revisions; its keys begin with the revision.
KEY_BUCKET: Final = b"key"
REVISION_BYTES: Final = 8


class SnapshotFileError(Exception):
    """The file is not there or not a database; the text is etcdctl's."""


def snapshot_status(path: str) -> SnapshotStatus:
    """Read a whole snapshot file."""
    try:
        is_directory = stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        raise SnapshotFileError(f"stat {path}: {(error.strerror or '').lower()}") from None
    if is_directory:
        raise SnapshotFileError(f"open {path}: is a directory")
    try:
        with BoltReader(path) as reader:
            return _read(reader)
    except BoltError:
        text = "file size too small" if _is_begun(path) else "invalid database"
        raise SnapshotFileError(text) from None


def _is_begun(path: str) -> bool:
    """Return whether a file has a valid first page and ends before its second is whole."""
    with open(path, "rb") as file:
        meta = decode_meta(file.read(PAGE_BYTES_MIN))
        size = os.fstat(file.fileno()).st_size
        return meta is not None and meta.page_bytes <= size < 2 * meta.page_bytes


def _read(reader: BoltReader) -> SnapshotStatus:
    crc = 0
    total_keys = 0
    revision = 0
    for name in reader.bucket_names():
        crc = google_crc32c.extend(crc, name)
        for items in reader.iterate(name):
            crc = google_crc32c.extend(crc, b"".join([part for item in items for part in item]))
            total_keys += len(items)
            if name == KEY_BUCKET and items:
                revision = int.from_bytes(items[-1][0][:REVISION_BYTES], "big")
    size = reader.meta.high_water * reader.meta.page_bytes
    return SnapshotStatus(hash_=crc, revision=revision, total_keys=total_keys, total_bytes=size)
