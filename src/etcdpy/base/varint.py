"""Protobuf's variable-length integers, for the few places where bytes are spliced without a message object."""

from __future__ import annotations

from typing import Final

_SMALL: Final = [
    bytes((n,)) if n < 128 else bytes((n & 0x7F | 0x80, n >> 7)) for n in range(1 << 14)
]


def encode_varint(value: int) -> bytes:
    """Return `value` as protobuf writes it; a negative int64 takes ten bytes, as there."""
    if 0 <= value < 16384:
        return _SMALL[value]
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value > 127:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


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
