"""Turns a bbolt file into a generation of our store: a Go member's `db`, or a snapshot.

Rules
  * The new generation becomes current only when it is complete and synced; a crash before leaves things as they were,
    and the next start does it again.
  * The bbolt file is only read. It stays where it is, so it may later be older than our store, which is fine; newer it
    must not be: then a Go member has worked on the data directory since, and going on would lose its writes.
  * A bucket that we do not know is refused: dropping it would lose data, and Hash would differ.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb

from etcdpy.base.invariant import StorageError
from etcdpy.storage.backend.backend import Backend
from etcdpy.storage.backend.generation import MAP_BYTES, Generation, Store
from etcdpy.storage.backend.long_keys import stored_item
from etcdpy.storage.bolt.pages import BoltError
from etcdpy.storage.bolt.reader import BoltReader
from etcdpy.storage.schema import buckets, meta
from etcdpy.storage.schema.buckets import Bucket
from etcdpy.storage.schema.revisions import is_revision

# Pages that one transaction changes wait in memory: commit every so often.
COMMIT_BYTES = 32 * 1024 * 1024


def open_or_take_over(directory: Path | str | os.PathLike[str], **options: Any) -> Backend:
    """Open the store of a member's folder, made from `snap/db` if a Go member was the last to run there.

    `options` are those of Backend.open.
    """
    db = Path(directory) / "snap" / "db"
    store = Store(Path(directory) / "store")
    try:
        has_store = store.find_current() is not None
    finally:
        store.close()
    if not db.exists():
        return Backend.open(directory, **options)
    if not has_store:
        import_bolt(db, directory)
        return Backend.open(directory, **options)
    backend = Backend.open(directory, **options)
    try:
        check_not_newer(db, backend)
    except BaseException:
        backend.close()
        raise
    return backend


def check_not_newer(db: Path, backend: Backend) -> None:
    """Raise StorageError where a bbolt file has applied more than our store."""
    index = read_consistent_index(db)
    if index > backend.consistent_index:
        raise StorageError(
            f"{db} is at raft index {index}, newer than our store at {backend.consistent_index}: another etcd has run "
            "on this data directory since; remove the folder `store` to take its data over"
        )


def read_consistent_index(path: Path) -> int:
    """Return how far a bbolt file has come."""
    with BoltReader(path) as reader:
        return meta.decode_u64(reader.get(buckets.NAMES[buckets.META], meta.CONSISTENT_INDEX))


def import_bolt(
    path: Path | str | os.PathLike[str],
    target_dir: Path | str | os.PathLike[str],
    *,
    origin: str = "bbolt",
    map_size: int = MAP_BYTES,
) -> None:
    """Make `target_dir`/store from a bbolt file, replacing what is there. The store must not be open."""
    store = Store(Path(target_dir) / "store")
    try:
        old = store.find_current()
        new = build_generation(store, Path(path), map_size=map_size)
        store.finish_generation(new, origin=origin)
        if old is not None:
            store.remove(old)
    finally:
        store.close()


def build_generation(
    store: Store, path: Path, *, map_size: int = MAP_BYTES, on_progress: Callable[[int], None] | None = None
) -> Path:
    """Build a generation, not yet current, from a bbolt file. On failure it is removed again."""
    with BoltReader(path) as reader:
        unknown = [name for name in reader.bucket_names() if name not in buckets.BY_NAME]
        if unknown:
            raise BoltError(f"{path} has buckets that this version does not know: {b', '.join(unknown)!r}")
        folder = store.begin_generation()
        try:
            generation = Generation(folder, map_size=map_size)
            try:
                _fill(generation, reader, on_progress)
            finally:
                generation.close()
        except lmdb.Error as error:
            store.remove(folder)
            raise StorageError(f"cannot take over {path}: {error}") from error
        except BaseException:
            store.remove(folder)
            raise
    return folder


def _fill(generation: Generation, reader: BoltReader, on_progress: Callable[[int], None] | None) -> None:
    items_done = bytes_waiting = 0
    txn = generation.env.begin(write=True)
    try:
        for bucket in buckets.ALL:
            for items in reader.iterate(buckets.NAMES[bucket]):
                _check_items(bucket, items)
                _put(txn, generation.dbs[bucket], bucket, items)
                items_done += len(items)
                bytes_waiting += sum([len(value) for _, value in items])
                if bytes_waiting >= COMMIT_BYTES:
                    bytes_waiting = 0
                    txn.commit()
                    txn = generation.env.begin(write=True)
                    if on_progress is not None:
                        on_progress(items_done)
    except BaseException:
        txn.abort()
        raise
    txn.commit()


def _put(txn: Any, db: Any, bucket: Bucket, items: list[tuple[bytes, bytes]]) -> None:
    is_append = True
    if bucket in buckets.WITH_LONG_KEYS:
        items = [stored_item(key, value) for key, value in items]
        is_append = False
    with txn.cursor(db) as cursor:
        _, added = cursor.putmulti(items, append=is_append)
    if added != len(items):
        raise StorageError(f"LMDB took {added} of {len(items)} items")


def _check_items(bucket: Bucket, items: list[tuple[bytes, bytes]]) -> None:
    """Pages have no checksums; what a key must look like is checked instead."""
    if bucket == buckets.KEY:
        for key, _ in items:
            if not is_revision(key):
                raise BoltError(f"the bucket key holds {key[:64]!r}, which is not a revision")
    elif bucket == buckets.META:
        for key, value in items:
            if key in (meta.CONSISTENT_INDEX, meta.TERM) and len(value) != 8:
                raise BoltError(f"{key!r} of the bucket meta has {len(value)} bytes instead of 8")
    elif bucket == buckets.LEASE:
        for key, _ in items:
            if len(key) != 8:
                raise BoltError(f"the bucket lease holds {key[:64]!r}, which is not a lease id")
