"""mvccpb.KeyValue as bytes: written, and read where only a part is needed, without a message object.

Field order is the one in which Go writes: key, create_revision, mod_revision, version, value, lease. Zeros are left
out. Byte equality with Go's encoding is what makes HashKV agree.
"""

from __future__ import annotations

from itertools import repeat
from typing import Final

from etcdpy.base.invariant import StorageError
from etcdpy.base.varint import LAST_GROUPS, MORE_GROUPS, decode_varint, encode_varint
from etcdpy.pb.kv_pb2 import KeyValue

_MOD_REVISION_TAG: Final = b"\x18"
# Length prefixes of fields of up to 16 KiB behind the two tags that are written a lot: a range's kvs, and keys.
KVS_PREFIX: Final = [b"\x12" + encode_varint(size) for size in range(1 << 14)]
_KEY_PREFIX: Final = [b"\x0a" + encode_varint(size) for size in range(1 << 8)]
_VALUE_PREFIX: Final = [b"\x2a" + encode_varint(size) for size in range(1 << 12)]


def encode_revision_varint(revision: int) -> bytes:
    """Return a revision as a varint; quicker than the general way where it passes 16,383."""
    if revision < 16384:
        return LAST_GROUPS[revision]
    if revision < 268435456:
        return MORE_GROUPS[revision & 16383] + LAST_GROUPS[revision >> 14]
    return encode_varint(revision)


def encode_key_value(key: bytes, created: int, modified: int, version: int, value: bytes, lease_id: int) -> bytes:
    """Return the KeyValue that a put stores."""
    key_size = len(key)
    value_size = len(value)
    modified_varint = encode_revision_varint(modified)
    parts = [
        _KEY_PREFIX[key_size] if key_size < 256 else b"\x0a" + encode_varint(key_size),
        key,
        b"\x10",
        modified_varint if created == modified else encode_revision_varint(created),
        b"\x18",
        modified_varint,
        b"\x20",
        LAST_GROUPS[version] if version < 16384 else encode_varint(version),
    ]
    if value_size:
        parts.append(_VALUE_PREFIX[value_size] if value_size < 4096 else b"\x2a" + encode_varint(value_size))
        parts.append(value)
    if lease_id:
        parts.append(b"\x30" + encode_varint(lease_id))
    return b"".join(parts)


def encode_tombstone(key: bytes) -> bytes:
    """Return the KeyValue that a deletion stores: the key, nothing else."""
    size = len(key)
    if not size:
        return b""
    return (_KEY_PREFIX[size] if size < 256 else b"\x0a" + encode_varint(size)) + key


def delete_event(stored: bytes, revision: int) -> bytes:
    """Return the KeyValue of a deletion's event, from the stored one."""
    return stored + _MOD_REVISION_TAG + encode_revision_varint(revision)


def key_of(stored: bytes) -> bytes:
    """Return the key of a stored KeyValue. Raise StorageError where there is none to read."""
    if len(stored) > 1 and stored[0] == 0x0A:
        size = stored[1]
        if size < 128:
            return stored[2 : 2 + size]
        try:
            size, position = decode_varint(stored, 1)
        except ValueError as error:
            raise StorageError(f"a stored KeyValue is cut off: {error}") from error
        return stored[position : position + size]
    if not stored:
        return b""
    raise StorageError(f"a stored KeyValue begins with {stored[:2]!r} instead of a key")


def field_prefix(tag: bytes, size: int) -> bytes:
    """Return tag and length of a length-delimited field."""
    return tag + encode_varint(size)


def without_value(stored: bytes) -> bytes:
    """Return a KeyValue without its value, as keys_only asks."""
    kv = KeyValue.FromString(stored)
    kv.ClearField("value")
    return kv.SerializeToString()


def join_kvs(stored: list[bytes], tail: bytes = b"") -> bytes:
    """Return KeyValues as field 2 of a RangeResponse."""
    sizes = list(map(len, stored))
    return _join(stored, sizes, max(sizes), tail) if sizes else tail


def join_few_kvs(stored: list[bytes], tail: bytes, bytes_max: int) -> bytes | None:
    """Return the same; None where the KeyValues have more than `bytes_max`."""
    sizes = list(map(len, stored))
    if not sizes:
        return tail
    largest = max(sizes)
    if largest * len(sizes) > bytes_max and sum(sizes) > bytes_max:
        return None
    return _join(stored, sizes, largest, tail)


def _join(stored: list[bytes], sizes: list[int], largest: int, tail: bytes) -> bytes:
    # Prefix, KeyValue, prefix, KeyValue ..., tail; filled by slices, without an object per pair.
    parts = [tail] * (2 * len(stored) + 1)
    if largest < len(KVS_PREFIX):
        parts[0:-1:2] = map(KVS_PREFIX.__getitem__, sizes)
    else:
        parts[0:-1:2] = map(field_prefix, repeat(b"\x12"), sizes)
    parts[1::2] = stored
    return b"".join(parts)
