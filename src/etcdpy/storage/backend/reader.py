"""A fixed view of what is committed: one LMDB read transaction, in terms of buckets and real keys.

It sees the commit that was the latest when it was made, and pins its pages until it is closed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import lmdb

from etcdpy.base.invariant import StorageError
from etcdpy.storage.backend.buffer import Table
from etcdpy.storage.backend.generation import Generation
from etcdpy.storage.backend.long_keys import real_item, stored_key
from etcdpy.storage.schema import buckets
from etcdpy.storage.schema.buckets import Bucket

# Items taken from LMDB at a time: enough to spread the costs of a slice, little enough to throw away the surplus.
CHUNK_ITEMS: Final = 1000

Item = tuple[bytes, bytes]


class Reader:
    """Reads one generation at one commit."""

    __slots__ = ("generation", "txn", "get_stored", "dbs")

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.dbs = generation.dbs
        try:
            self.txn: Any = generation.env.begin()
        except lmdb.Error as error:
            raise StorageError(f"cannot read the store {generation.path}: {error}") from error
        self.get_stored = self.txn.get

    def get(self, bucket: Bucket, key: bytes) -> bytes | None:
        """Return the committed value."""
        if bucket in buckets.WITH_LONG_KEYS:
            name = stored_key(key)
            value = self.get_stored(name, None, self.dbs[bucket])
            return value if value is None else real_item(name, value)[1]
        return self.get_stored(key, None, self.dbs[bucket])

    def scan(
        self, bucket: Bucket, start: bytes, end: bytes | None, limit: int = 0, reverse: bool = False
    ) -> list[Item]:
        """Return the committed items of [start, end), sorted, `limit` at most (0: all)."""
        return scan_merged(self, {}, bucket, start, end, limit, reverse)

    def iterate_chunks(
        self, bucket: Bucket, start: bytes, end: bytes | None, reverse: bool = False, size: int = CHUNK_ITEMS
    ) -> Iterator[list[Item]]:
        """Yield the committed items of [start, end) in order, in lists of `size` that are never empty."""
        if bucket in buckets.WITH_LONG_KEYS:
            items = [item for item in self._real_items(bucket) if start <= item[0] and (end is None or item[0] < end)]
            items.sort(reverse=reverse)
            if items:
                yield items
        elif reverse:
            yield from self._iterate_backward(bucket, start, end, size)
        else:
            yield from self._iterate_forward(bucket, start, end, size)

    def pages_in_use(self) -> int:
        """Return the pages that hold data: all databases, and the two meta pages."""
        stats = [self.txn.stat(db) for db in self.dbs]
        stats.append(self.generation.env.stat())
        pages = [stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"] for stat in stats]
        return 2 + int(sum(pages))

    def close(self) -> None:
        """End the view."""
        self.txn.abort()

    def _real_items(self, bucket: Bucket) -> list[Item]:
        with self.txn.cursor(self.dbs[bucket]) as cursor:
            return [real_item(key, value) for key, value in cursor]

    def _iterate_forward(self, bucket: Bucket, start: bytes, end: bytes | None, size: int) -> Iterator[list[Item]]:
        with self.txn.cursor(self.dbs[bucket]) as cursor:
            if not (cursor.set_range(start) if start else cursor.first()):
                return
            items = cursor.iternext(True, True)
            while chunk := list(islice(items, size)):
                if end is not None and chunk[-1][0] >= end:
                    del chunk[bisect_left(chunk, (end,)) :]
                    if chunk:
                        yield chunk
                    return
                yield chunk

    def _iterate_backward(self, bucket: Bucket, start: bytes, end: bytes | None, size: int) -> Iterator[list[Item]]:
        with self.txn.cursor(self.dbs[bucket]) as cursor:
            if end is not None and cursor.set_range(end):
                if not cursor.prev():
                    return
            elif not cursor.last():
                return
            items = cursor.iterprev(True, True)
            while chunk := list(islice(items, size)):
                if chunk[-1][0] < start:
                    chunk = [item for item in chunk if item[0] >= start]
                    if chunk:
                        yield chunk
                    return
                yield chunk


def scan_merged(
    reader: Reader, overlay: Table, bucket: Bucket, start: bytes, end: bytes | None, limit: int, reverse: bool
) -> list[Item]:
    """Return the items of [start, end) with `overlay`, which lies in that range, put over the committed ones."""
    merged: list[Item] = []
    size = min(limit, CHUNK_ITEMS) if limit else CHUNK_ITEMS
    for chunk in iterate_merged(reader, overlay, bucket, start, end, reverse, size):
        merged += chunk
        if limit and len(merged) >= limit:
            return merged[:limit]
    return merged


def iterate_merged(
    reader: Reader,
    overlay: Table,
    bucket: Bucket,
    start: bytes,
    end: bytes | None,
    reverse: bool = False,
    size: int = CHUNK_ITEMS,
) -> Iterator[list[Item]]:
    """Yield what `scan_merged` returns, in lists of about `size` that may be empty."""
    waiting = sorted(overlay.items(), reverse=not reverse)  # Next ones at the end.
    for chunk in reader.iterate_chunks(bucket, start, end, reverse, size):
        yield _merge_chunk(chunk, waiting, reverse) if waiting else chunk
    while waiting:
        rest = waiting[-CHUNK_ITEMS:]
        del waiting[-CHUNK_ITEMS:]
        yield [(key, value) for key, value in reversed(rest) if value is not None]


def _merge_chunk(chunk: list[Item], waiting: list[tuple[bytes, bytes | None]], reverse: bool) -> list[Item]:
    """Put what `waiting` has up to the chunk's last key into the chunk, and take it from `waiting`."""
    last = chunk[-1][0]
    merged: Table = dict(chunk)
    while waiting and (waiting[-1][0] >= last if reverse else waiting[-1][0] <= last):
        key, value = waiting.pop()
        merged[key] = value
    return [(key, value) for key, value in sorted(merged.items(), reverse=reverse) if value is not None]
