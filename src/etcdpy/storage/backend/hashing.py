"""Hash(): one number over the whole store, equal on all members that hold the same data.

CRC32C over, for each bucket in order of names: its name, then key and value of each item in order. What differs
between members by nature is left out (schema.meta.NOT_HASHED). It takes time that grows with the data, so it goes in
slices over a view that was fixed at the start; a view pins pages of LMDB until it is closed.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import chain

import google_crc32c

from etcdpy.storage.backend.buffer import Table
from etcdpy.storage.backend.reader import Item, Reader, iterate_merged
from etcdpy.storage.schema import buckets, meta


class HashJob:
    """A hash in the making: `step` until it returns True, then `crc` is the number."""

    def __init__(self, reader: Reader, overlays: list[Table], *, consistent_index: int) -> None:
        self.crc = 0
        self.consistent_index = consistent_index
        self.is_done = False
        self._reader = reader
        self._overlays = overlays
        self._parts = self._iterate()
        reader.generation.pins += 1

    def step(self) -> bool:
        """Hash the next thousand items or so; return whether all is done."""
        if self.is_done:
            return True
        part = next(self._parts, None)
        if part is None:
            self.close()
            return True
        self.crc = google_crc32c.extend(self.crc, part)
        return False

    def close(self) -> None:
        """Let go of the view, done or not."""
        if not self.is_done:
            self.is_done = True
            self._parts.close()
            self._reader.close()
            self._reader.generation.pins -= 1

    def _iterate(self) -> Generator[bytes, None, None]:
        for bucket in buckets.ALL:
            yield buckets.NAMES[bucket]
            for items in iterate_merged(self._reader, self._overlays[bucket], bucket, b"", None):
                yield b"".join(chain.from_iterable(_hashed(bucket, items)))


def _hashed(bucket: buckets.Bucket, items: list[Item]) -> list[Item]:
    if bucket != buckets.META:
        return items
    return [item for item in items if item[0] not in meta.NOT_HASHED]
