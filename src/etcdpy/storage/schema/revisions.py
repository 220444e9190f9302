"""Keys of the bucket `key`: revisions, ordered as bytes as they are ordered in time.

main revision, u64 big-endian | "_" | sub revision, u64 big-endian | "t" if it is a tombstone
"""

from __future__ import annotations

from struct import Struct
from typing import Final

REVISION_BYTES: Final = 17
TOMBSTONE_BYTES: Final = 18

_REVISION: Final = Struct(">QsQ")
_TOMBSTONE: Final = Struct(">QsQs")
_pack_revision = _REVISION.pack
_pack_tombstone = _TOMBSTONE.pack
_unpack_revision = _REVISION.unpack_from


def encode_revision(main: int, sub: int, tombstone: bool = False) -> bytes:
    """Return the key of a revision in the bucket `key`."""
    if tombstone:
        return _pack_tombstone(main, b"_", sub, b"t")
    return _pack_revision(main, b"_", sub)


def decode_revision(key: bytes) -> tuple[int, int]:
    """Return (main, sub) of a revision key, tombstone or not. Raise ValueError where it is none."""
    if not is_revision(key):
        raise ValueError(f"not a revision key: {key!r}")
    main, _, sub = _unpack_revision(key)
    return main, sub


def is_revision(key: bytes) -> bool:
    """Return whether `key` has the form of a revision key."""
    size = len(key)
    return (size == REVISION_BYTES or (size == TOMBSTONE_BYTES and key[17] == 0x74)) and key[8] == 0x5F


def is_tombstone(key: bytes) -> bool:
    """Return whether a revision key marks a deletion."""
    return len(key) == TOMBSTONE_BYTES
