"""Defragmentation of a store that no member has open: a compact copy becomes the next generation.

The same steps as the online one (`defragment_job`), without a member to wait for. A crash at any moment leaves the old
generation or the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lmdb

from etcdpy.base.invariant import StorageError
from etcdpy.storage.backend.generation import Generation, Store


@dataclass(frozen=True, slots=True)
class StoreSize:
    """Bytes on the disk, and those of them that hold something."""

    total: int
    used: int


def defragment_store(directory: Path, on_begin: Callable[[StoreSize], None]) -> StoreSize:
    """Defragment the store of `directory`; tell its size before, return the one after. Raise StorageError."""
    store = Store(directory)
    try:
        current = store.find_current()
        if current is None:
            raise StorageError(f"{directory} holds no store")
        old = Generation(current, readonly=True)
        try:
            on_begin(_size_of(old))
            new = store.begin_generation()
            try:
                old.env.copy(str(new), compact=True)
            except lmdb.Error as error:
                store.remove(new)
                raise StorageError(f"cannot copy {current}: {error}") from error
        finally:
            old.close()
        store.finish_generation(new, origin="defragmentation")
        store.remove(current)
        copy = Generation(new, readonly=True)
        try:
            return _size_of(copy)
        finally:
            copy.close()
    finally:
        store.close()


def _size_of(generation: Generation) -> StoreSize:
    total = (generation.path / "data.mdb").stat().st_size
    with generation.env.begin() as txn:
        trees = [txn.stat(db) for db in generation.dbs]
        pages = 2 + sum(tree["branch_pages"] + tree["leaf_pages"] + tree["overflow_pages"] for tree in trees)
        used = pages * generation.env.stat()["psize"]
    return StoreSize(total, min(used, total))
