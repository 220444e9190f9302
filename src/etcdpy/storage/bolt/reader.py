"""Reads a bbolt file that nobody writes: a snapshot, or the `db` of a stopped etcd.

Rules
  * Nothing in the file is believed: page ids, counts, offsets and sizes are checked against the page and the file,
    every page may be visited once, keys must ascend. Damage is a BoltError, never a crash and never an endless loop.
  * The file is read with pread, not mapped: a truncation or a bad sector is then an error and not a SIGBUS.
  * A shared lock is taken: a running etcd holds an exclusive one, and its file must not be read.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from struct import unpack_from
from types import TracebackType
from typing import Final

from etcdpy.storage.bolt.pages import (
    BRANCH,
    BUCKET_ELEMENT,
    BUCKET_HEADER,
    ELEMENT_BYTES,
    HEADER_BYTES,
    LEAF,
    PAGE_BYTES_DEFAULT,
    PAGE_BYTES_MIN,
    PAGE_HEADER,
    BoltError,
    Meta,
    decode_meta,
)

Item = tuple[bytes, bytes]

# A tree of 2^63 items with two children a page is not deeper.
DEPTH_MAX: Final = 64


class BoltReader:
    """An open bbolt file; a context manager."""

    def __init__(self, path: Path | str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise BoltError(f"cannot read {self._path}: {error}") from error
        try:
            self._lock()
            self._size = os.fstat(self._descriptor).st_size
            self.meta = self._find_meta()
            self._roots = self._read_roots()
        except BaseException:
            os.close(self._descriptor)
            raise

    def bucket_names(self) -> list[bytes]:
        """Return the names of all buckets, sorted."""
        return list(self._roots)

    def get(self, bucket: bytes, key: bytes) -> bytes | None:
        """Return one value, by reading through the bucket: for small buckets."""
        for items in self.iterate(bucket):
            for name, value in items:
                if name == key:
                    return value
        return None

    def iterate(self, bucket: bytes) -> Iterator[list[Item]]:
        """Yield the items of a bucket in order, one list per page; nothing for a bucket that is not there."""
        value = self._roots.get(bucket)
        if value is None:
            return
        root, _ = BUCKET_HEADER.unpack_from(value)
        previous: bytes | None = None
        for place, page in self._leaves(root, value):
            items = [(key, data) for _, key, data in self._elements(place, page, no_buckets=True)]
            if not items:
                continue
            previous = self._check_order(place, items, previous)
            yield items

    def size_bytes(self) -> int:
        """Return how large the database is by its own account."""
        return self.meta.high_water * self.meta.page_bytes

    def used_bytes(self) -> int:
        """Return how much of that its two metas and its trees take; the rest is free pages."""
        pages = 2 + self._count_pages(self.meta.root_page)
        for value in self._roots.values():
            pages += self._count_pages(BUCKET_HEADER.unpack_from(value)[0])
        return pages * self.meta.page_bytes

    def _count_pages(self, root: int) -> int:
        """Count the pages of a tree; an inline bucket has none."""
        if root == 0:
            return 0
        seen = bytearray(self.meta.high_water // 8 + 1)
        waiting = [root]
        while waiting:
            number = waiting.pop()
            page = self._page(number, seen)
            _, flags, count, _ = PAGE_HEADER.unpack_from(page)
            if flags == BRANCH:
                waiting += self._children(number, page, count)
        return int.from_bytes(seen, "little").bit_count()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> BoltReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BoltError(f"{self._path} is in use by another process") from error

    def _find_meta(self) -> Meta:
        """Return the newer of the valid meta pages."""
        found: list[Meta] = []
        first = decode_meta(self._read(0, PAGE_BYTES_MIN))
        if first is not None:
            found.append(first)
            sizes = [first.page_bytes]
        else:
            # The first meta page is damaged: the second lies at a page size that we have to guess.
            sizes = [PAGE_BYTES_DEFAULT, *(1 << bit for bit in range(9, 17) if 1 << bit != PAGE_BYTES_DEFAULT)]
        for size in sizes:
            second = decode_meta(self._read(size, PAGE_BYTES_MIN))
            if second is not None and second.page_bytes == size:
                found.append(second)
                break
        if not found:
            raise BoltError(f"{self._path} is not a bbolt file: it has no valid meta page")
        meta = max(found, key=lambda candidate: candidate.transaction)
        if meta.high_water * meta.page_bytes > self._size:
            raise BoltError(
                f"{self._path} is cut off: it has {self._size} bytes and needs {meta.high_water * meta.page_bytes}"
            )
        return meta

    def _read_roots(self) -> dict[bytes, bytes]:
        """Return bucket name -> bucket value."""
        roots: dict[bytes, bytes] = {}
        previous: bytes | None = None
        for place, page in self._leaves(self.meta.root_page, b""):
            elements = self._elements(place, page)
            if elements:
                previous = self._check_order(place, [(key, b"") for _, key, _ in elements], previous)
            for flags, name, value in elements:
                if flags != BUCKET_ELEMENT or len(value) < BUCKET_HEADER.size:
                    raise BoltError(f"{self._path}: {place}: the root holds something that is not a bucket: {name!r}")
                roots[name] = value
        return roots

    def _leaves(self, root: int, bucket: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield (name for errors, page) of all leaves below a root page, or the inline page of `bucket`."""
        if root == 0:
            if len(bucket) < BUCKET_HEADER.size + HEADER_BYTES:
                raise BoltError(f"{self._path}: an inline bucket of {len(bucket)} bytes is too short")
            yield "inline bucket", bucket[BUCKET_HEADER.size :]
            return
        seen = bytearray(self.meta.high_water // 8 + 1)
        waiting = [(root, 0)]
        while waiting:
            number, depth = waiting.pop()
            page = self._page(number, seen)
            _, flags, count, _ = PAGE_HEADER.unpack_from(page)
            if flags == LEAF:
                yield f"page {number}", page
            elif flags == BRANCH and depth < DEPTH_MAX:
                children = self._children(number, page, count)
                waiting += [(child, depth + 1) for child in reversed(children)]
            else:
                raise BoltError(f"{self._path}: page {number} at depth {depth} has flags {flags:#x}")

    def _page(self, number: int, seen: bytearray) -> bytes:
        """Return a page with its overflow."""
        meta = self.meta
        if not 2 <= number < meta.high_water:
            raise BoltError(f"{self._path}: page {number} is outside of the file of {meta.high_water} pages")
        self._mark_seen(number, seen)
        page = self._read(number * meta.page_bytes, meta.page_bytes)
        if len(page) < meta.page_bytes:
            raise BoltError(f"{self._path}: page {number} is cut off")
        number_inside, _, _, overflow = PAGE_HEADER.unpack_from(page)
        if number_inside != number:
            raise BoltError(f"{self._path}: page {number} says that it is page {number_inside}")
        if overflow:
            if number + overflow >= meta.high_water:
                raise BoltError(f"{self._path}: page {number} runs over the end of the file by its overflow {overflow}")
            for follower in range(number + 1, number + 1 + overflow):
                self._mark_seen(follower, seen)
            page += self._read((number + 1) * meta.page_bytes, overflow * meta.page_bytes)
        return page

    def _mark_seen(self, number: int, seen: bytearray) -> None:
        """Note that a page is part of the tree. Twice would be a loop, or make the work grow beyond the file."""
        bit = 1 << (number & 7)
        if seen[number >> 3] & bit:
            raise BoltError(f"{self._path}: page {number} is used twice")
        seen[number >> 3] |= bit

    def _children(self, number: int, page: bytes, count: int) -> list[int]:
        if count == 0 or HEADER_BYTES + count * ELEMENT_BYTES > len(page):
            raise BoltError(f"{self._path}: branch page {number} cannot have {count} elements")
        return list(unpack_from("<" + "8xQ" * count, page, HEADER_BYTES))

    def _elements(self, place: str, page: bytes, no_buckets: bool = False) -> list[tuple[int, bytes, bytes]]:
        """Return (flags, key, value) of a leaf page."""
        _, flags, count, _ = PAGE_HEADER.unpack_from(page)
        size = len(page)
        if flags != LEAF or HEADER_BYTES + count * ELEMENT_BYTES > size:
            raise BoltError(f"{self._path}: {place}: not a leaf of {count} elements (flags {flags:#x}, {size} bytes)")
        numbers = unpack_from(f"<{4 * count}I", page, HEADER_BYTES)
        elements: list[tuple[int, bytes, bytes]] = []
        place_of_element = HEADER_BYTES
        for index in range(0, 4 * count, 4):
            element_flags, position, key_bytes, value_bytes = numbers[index : index + 4]
            start = place_of_element + position
            middle = start + key_bytes
            end = middle + value_bytes
            if end > size:
                raise BoltError(f"{self._path}: {place}: element {index // 4} ends at {end} of {size} bytes")
            if no_buckets and element_flags:
                raise BoltError(f"{self._path}: {place}: element {index // 4} has flags {element_flags:#x}")
            elements.append((element_flags, page[start:middle], page[middle:end]))
            place_of_element += ELEMENT_BYTES
        return elements

    def _check_order(self, place: str, items: list[Item], previous: bytes | None) -> bytes:
        """Return the last key. Raise BoltError where keys do not ascend."""
        for key, _ in items:
            if previous is not None and key <= previous:
                raise BoltError(f"{self._path}: {place}: key {key[:64]!r} follows {previous[:64]!r}")
            previous = key
        assert previous is not None
        return previous

    def _read(self, offset: int, size: int) -> bytes:
        try:
            return os.pread(self._descriptor, size, offset)
        except (OSError, OverflowError) as error:
            raise BoltError(f"cannot read {self._path} at {offset}: {error}") from error
