"""Writes a bbolt file in one pass: sorted items in, pages out, trees built from the leaves up.

    pages 0, 1   metas, written last: a half-written file has none
    pages 2 ...  leaves and branches in the order in which they become complete

Rules
  * Items come sorted and without duplicates, buckets sorted by name. That is checked, since a reader would not notice.
  * A page is filled to FILL of its size, as in etcd's key bucket. An item larger than a page has overflow pages.
  * A bucket that fits into a quarter of a page is stored inline, as bbolt would (and its checker wants).
  * Memory is bounded: each level of a tree holds at most two pages of entries back, so that the last branch is not
    left with one child.
  * There is no freelist: etcd opens with NoFreelistSync, and no page here is free.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack
from typing import BinaryIO, Final

from etcdpy.storage.bolt.pages import (
    BRANCH,
    BUCKET_ELEMENT,
    BUCKET_HEADER,
    ELEMENT_BYTES,
    HEADER_BYTES,
    LEAF,
    PAGE_BYTES_DEFAULT,
    PAGE_HEADER,
    BoltError,
    Meta,
)

Item = tuple[bytes, bytes]

FILL: Final = 0.9


class BoltWriter:
    """Writes one file. Use: add_bucket for each bucket in order, then finish."""

    def __init__(self, file: BinaryIO, *, page_bytes: int = PAGE_BYTES_DEFAULT) -> None:
        self._file = file
        self.page_bytes = page_bytes
        self.fill_bytes = int(page_bytes * FILL)
        self._next_page = 2
        self._buckets: list[Item] = []
        file.write(bytes(2 * page_bytes))

    def add_bucket(self, name: bytes, chunks: Iterable[list[Item]]) -> None:
        """Write a bucket from lists of items, all in order."""
        if self._buckets and name <= self._buckets[-1][0]:
            raise BoltError(f"bucket {name!r} was added after {self._buckets[-1][0]!r}")
        tree = _Tree(self, 0)
        for chunk in chunks:
            tree.add(chunk)
        self._buckets.append((name, tree.finish_bucket()))

    def finish(self) -> int:
        """Write the root and the metas; return the size of the file."""
        tree = _Tree(self, BUCKET_ELEMENT)
        tree.add(self._buckets)
        root = tree.finish_root()
        self._file.seek(0)
        for transaction in (0, 1):
            meta = Meta(page_bytes=self.page_bytes, root_page=root, high_water=self._next_page, transaction=transaction)
            self._file.write(meta.encode())
        self._file.flush()
        return self._next_page * self.page_bytes

    def write_page(self, flags: int, count: int, elements: bytes, data: bytes) -> int:
        """Write one page with its overflow; return its number."""
        size = HEADER_BYTES + len(elements) + len(data)
        pages = -(-size // self.page_bytes)
        number = self._next_page
        self._next_page += pages
        self._file.write(
            b"".join(
                (
                    PAGE_HEADER.pack(number, flags, count, pages - 1),
                    elements,
                    data,
                    bytes(pages * self.page_bytes - size),
                )
            )
        )
        return number


class _Tree:
    """The leaves of one bucket, and the branches above them."""

    def __init__(self, writer: BoltWriter, element_flags: int) -> None:
        self._writer = writer
        self._element_flags = element_flags
        self._items: list[Item] = []  # Of the leaf in the making.
        self._bytes = HEADER_BYTES  # Size of that leaf.
        self._last_key: bytes | None = None
        self._branches: list[_Level] = []

    def add(self, items: list[Item]) -> None:
        """Take the next items, in order."""
        limit = self._writer.fill_bytes
        last_key = self._last_key
        pending, size = self._items, self._bytes
        for item in items:
            key, value = item
            if last_key is not None and key <= last_key:
                raise BoltError(f"key {key[:64]!r} was added after {last_key[:64]!r}")
            last_key = key
            item_bytes = ELEMENT_BYTES + len(key) + len(value)
            if size + item_bytes > limit and pending:
                self._write_leaf()
                pending, size = self._items, HEADER_BYTES
            pending.append(item)
            size += item_bytes
        self._bytes = size
        self._last_key = last_key

    def finish_bucket(self) -> bytes:
        """Write what is left; return the bucket's value in the root."""
        if not self._branches and self._bytes <= self._writer.page_bytes // 4:
            page = PAGE_HEADER.pack(0, LEAF, len(self._items), 0) + b"".join(self._encode_leaf())
            return BUCKET_HEADER.pack(0, 0) + page
        return BUCKET_HEADER.pack(self.finish_root(), 0)

    def finish_root(self) -> int:
        """Write what is left; return the root page."""
        if self._items or not self._branches:
            self._write_leaf()
        level = 0
        while True:
            entries = self._branches[level].take_rest(self._add_above(level))
            if len(entries) == 1:
                return entries[0][1]
            level += 1

    def _add_above(self, level: int) -> _Level:
        if level + 1 == len(self._branches):
            self._branches.append(_Level(self._writer))
        return self._branches[level + 1]

    def _write_leaf(self) -> None:
        elements, data = self._encode_leaf()
        number = self._writer.write_page(LEAF, len(self._items), elements, data)
        first_key = self._items[0][0] if self._items else b""
        self._items = []
        self._bytes = HEADER_BYTES
        if not self._branches:
            self._branches.append(_Level(self._writer))
        self._rise(0, first_key, number)

    def _rise(self, level: int, key: bytes, number: int) -> None:
        """Tell the level above of a page, and the ones above that of pages which became full thereby."""
        full = self._branches[level].add(key, number)
        if full is not None:
            self._add_above(level)
            self._rise(level + 1, *full)

    def _encode_leaf(self) -> tuple[bytes, bytes]:
        numbers: list[int] = []
        parts: list[bytes] = []
        position = len(self._items) * ELEMENT_BYTES
        for key, value in self._items:
            key_bytes, value_bytes = len(key), len(value)
            numbers += (self._element_flags, position, key_bytes, value_bytes)
            position += key_bytes + value_bytes - ELEMENT_BYTES
            parts.append(key)
            parts.append(value)
        return pack(f"<{len(numbers)}I", *numbers), b"".join(parts)


class _Level:
    """Entries (first key, page) of one level that no branch page holds yet."""

    def __init__(self, writer: BoltWriter) -> None:
        self._writer = writer
        self._entries: list[tuple[bytes, int]] = []
        self._sizes: list[int] = []
        self._bytes = 0

    def add(self, key: bytes, number: int) -> tuple[bytes, int] | None:
        """Take an entry; return the entry of a branch page, if one had to be written."""
        size = ELEMENT_BYTES + len(key)
        self._entries.append((key, number))
        self._sizes.append(size)
        self._bytes += size
        if self._bytes < 2 * self._writer.page_bytes or len(self._entries) < 4:
            return None
        return self._write_first()

    def take_rest(self, above: _Level) -> list[tuple[bytes, int]]:
        """Write the rest as branch pages into `above`; if there is only one page in all, return it instead."""
        if len(self._entries) == 1 and not above._entries:
            return self._entries
        while self._entries:
            above._take(self._write_first())
        return []

    def _take(self, entry: tuple[bytes, int]) -> None:
        self._entries.append(entry)
        size = ELEMENT_BYTES + len(entry[0])
        self._sizes.append(size)
        self._bytes += size

    def _write_first(self) -> tuple[bytes, int]:
        """Write one branch page of the first entries."""
        count, size, limit = 0, HEADER_BYTES, self._writer.fill_bytes
        while count < len(self._entries) and (count < 2 or size + self._sizes[count] <= limit):
            size += self._sizes[count]
            count += 1
        if len(self._entries) - count == 1:  # A branch with one child is none.
            count = count - 1 if count > 2 else count + 1
        entries, self._entries = self._entries[:count], self._entries[count:]
        self._bytes -= sum(self._sizes[:count])
        del self._sizes[:count]
        position = count * ELEMENT_BYTES
        elements: list[bytes] = []
        for key, number in entries:
            elements.append(pack("<IIQ", position, len(key), number))
            position += len(key) - ELEMENT_BYTES
        page = self._writer.write_page(BRANCH, count, b"".join(elements), b"".join([key for key, _ in entries]))
        return entries[0][0], page
