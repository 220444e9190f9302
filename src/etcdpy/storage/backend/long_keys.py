"""Keys that LMDB cannot hold: names of users and roles have no limit in etcd, LMDB's keys end at 511 bytes.

Such a key is stored under a digest with a reserved prefix, the real key in front of the value:

    PREFIX | SHA-256(key)  ->  length of key, u32 big-endian | key | value

A real key that begins with the prefix takes the same way, so nothing can pass for a digest. Digests do not sort as
their keys do: whoever lists such a bucket reads all of it and sorts (only small buckets are treated so, see
schema.buckets.WITH_LONG_KEYS).
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct
from typing import Final

from etcdpy.base.invariant import StorageError

LMDB_KEY_BYTES_MAX: Final = 511
PREFIX: Final = b"\xff\xffdigest\xff"
_LENGTH: Final = Struct(">I")


def is_stored_under_digest(key: bytes) -> bool:
    """Return whether LMDB must hold `key` under its digest."""
    return len(key) > LMDB_KEY_BYTES_MAX or not key or key.startswith(PREFIX)


def stored_key(key: bytes) -> bytes:
    """Return the LMDB key of `key`."""
    if is_stored_under_digest(key):
        return PREFIX + sha256(key).digest()
    return key


def stored_item(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return what LMDB holds for (key, value)."""
    if is_stored_under_digest(key):
        return PREFIX + sha256(key).digest(), _LENGTH.pack(len(key)) + key + value
    return key, value


def real_item(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return the (key, value) that `stored_item` was given."""
    if not key.startswith(PREFIX):
        return key, value
    if len(value) < 4 or len(value) - 4 < (size := _LENGTH.unpack_from(value)[0]):
        raise StorageError(f"a long key in the store is cut off: {len(value)} bytes")
    return value[4 : 4 + size], value[4 + size :]
