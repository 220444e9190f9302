"""bbolt's file format: pages, elements, meta pages. What reader and writer agree on.

    page     id u64 | flags u16 | count u16 | overflow u32 | elements | data        overflow: pages that belong to it
    branch   pos u32 | key size u32 | child page u64                                pos counts from the element itself
    leaf     flags u32 (1: a bucket) | pos u32 | key size u32 | value size u32
    bucket   root page u64 | sequence u64 [| a whole leaf page, if root is 0: an inline bucket]
    meta     magic u32 | version u32 | page size u32 | flags u32 | root bucket | freelist page u64 | high water u64 |
             transaction u64 | FNV-1a 64 of all before

Everything little-endian. Pages 0 and 1 are metas; the valid one with the higher transaction counts. Data pages carry no
checksum, so a reader believes nothing: BoltError tells what is wrong, and where.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from etcdpy.base.invariant import StorageError

MAGIC: Final = 0xED0CDAED
VERSION: Final = 2

BRANCH: Final = 0x01
LEAF: Final = 0x02
META: Final = 0x04
# Leaf element flag: the value is a bucket.
BUCKET_ELEMENT: Final = 1
# "There is no freelist on disk": etcd opens with NoFreelistSync and finds free pages by walking the tree.
NO_FREELIST: Final = 0xFFFF_FFFF_FFFF_FFFF

PAGE_HEADER: Final = Struct("<QHHI")
BUCKET_HEADER: Final = Struct("<QQ")
META_FIELDS: Final = Struct("<IIIIQQQQQ")
META_CHECKSUM: Final = Struct("<Q")
HEADER_BYTES: Final = PAGE_HEADER.size
ELEMENT_BYTES: Final = 16  # Of leaves and of branches alike.

PAGE_BYTES_MIN: Final = 512
PAGE_BYTES_MAX: Final = 64 * 1024
# What all machines that run etcd use; bbolt takes the operating system's.
PAGE_BYTES_DEFAULT: Final = 4096

assert HEADER_BYTES == 16 and META_FIELDS.size == 56

_FNV_OFFSET: Final = 0xCBF2_9CE4_8422_2325
_FNV_PRIME: Final = 0x0000_0100_0000_01B3
_U64: Final = 0xFFFF_FFFF_FFFF_FFFF


class BoltError(StorageError):
    """A bbolt file is damaged, or is none."""


class Meta:
    """The content of a meta page."""

    __slots__ = ("page_bytes", "root_page", "high_water", "transaction")

    def __init__(self, *, page_bytes: int, root_page: int, high_water: int, transaction: int) -> None:
        self.page_bytes = page_bytes
        self.root_page = root_page
        self.high_water = high_water  # Pages in the file; all ids are below.
        self.transaction = transaction

    def encode(self) -> bytes:
        """Return the meta page, whole."""
        fields = META_FIELDS.pack(
            MAGIC, VERSION, self.page_bytes, 0, self.root_page, 0, NO_FREELIST, self.high_water, self.transaction
        )
        header = PAGE_HEADER.pack(self.transaction & 1, META, 0, 0)
        return (header + fields + META_CHECKSUM.pack(fnv1a_64(fields))).ljust(self.page_bytes, b"\0")


def decode_meta(page: bytes) -> Meta | None:
    """Return the meta that begins this page, None where there is no valid one."""
    if len(page) < HEADER_BYTES + META_FIELDS.size + META_CHECKSUM.size:
        return None
    magic, version, page_bytes, _, root_page, _, _, high_water, transaction = META_FIELDS.unpack_from(
        page, HEADER_BYTES
    )
    if magic != MAGIC or version != VERSION:
        return None
    fields = page[HEADER_BYTES : HEADER_BYTES + META_FIELDS.size]
    if META_CHECKSUM.unpack_from(page, HEADER_BYTES + META_FIELDS.size)[0] != fnv1a_64(fields):
        return None
    if not PAGE_BYTES_MIN <= page_bytes <= PAGE_BYTES_MAX or page_bytes & (page_bytes - 1):
        return None
    return Meta(page_bytes=page_bytes, root_page=root_page, high_water=high_water, transaction=transaction)


def fnv1a_64(data: bytes) -> int:
    """Return the FNV-1a hash of 64 bits."""
    digest = _FNV_OFFSET
    for byte in data:
        digest = (digest ^ byte) * _FNV_PRIME & _U64
    return digest
