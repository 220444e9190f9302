"""Protobuf's variable-length integers, for the few places where bytes are spliced without a message object."""

from __future__ import annotations

from typing import Final

_PAIRS: Final = 1 << 14  # what two groups of seven bits hold
_PAIR_BITS: Final = _PAIRS - 1
# The two low groups of a longer number (both bytes say "more follows"), and whole numbers of at most two bytes. Most
# numbers here are revisions, indexes and 64-bit ids: two to five look-ups instead of up to ten steps.
MORE_GROUPS: Final = [bytes((n & 0x7F | 0x80, n >> 7 | 0x80)) for n in range(_PAIRS)]
LAST_GROUPS: Final = [bytes((n,)) if n < 128 else bytes((n & 0x7F | 0x80, n >> 7)) for n in range(_PAIRS)]


def encode_varint(value: int) -> bytes:
    """Return `value` as protobuf writes it; a negative int64 takes ten bytes, as there."""
    if 0 <= value < 16384:
        return LAST_GROUPS[value]
    value &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = MORE_GROUPS[value & _PAIR_BITS]
    value >>= 14
    while value > _PAIR_BITS:
        encoded += MORE_GROUPS[value & _PAIR_BITS]
        value >>= 14
    return encoded + LAST_GROUPS[value]


def decode_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return (value, position after it). Raise ValueError where `data` ends early or the number passes 64 bits."""
    value = shift = 0
    while True:
        if position >= len(data):
            raise ValueError("varint is cut off")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 128:
            break
        shift += 7
        if shift > 63:
            raise ValueError("varint is longer than ten bytes")
    if value >> 64:
        raise ValueError("varint passes 64 bits")
    return value, position
