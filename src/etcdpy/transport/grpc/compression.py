"""gzip as grpc-encoding: bounded on the way in, whatever the declared sizes say."""

from __future__ import annotations

import zlib
from typing import Final

# gzip framing for zlib's window bits.
GZIP_WINDOW_BITS: Final = 16 + zlib.MAX_WBITS
# Answers are compressed for clients on slow links that asked for it; speed matters more than the last per cent.
GZIP_LEVEL: Final = 1


class TooLarge(Exception):
    """The message is larger than allowed once decompressed."""


def inflate(data: bytes, limit_bytes: int) -> bytes:
    """Return the decompressed bytes. Raises TooLarge, or zlib.error for anything that is not one whole gzip stream."""
    machine = zlib.decompressobj(GZIP_WINDOW_BITS)
    plain = machine.decompress(data, limit_bytes + 1)
    if len(plain) > limit_bytes:
        raise TooLarge
    if not machine.eof:
        raise zlib.error("unexpected EOF")
    return plain


def deflate(message: bytes | list[bytes]) -> bytes:
    """Return the message as one gzip stream."""
    machine = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW_BITS)
    plain = message if isinstance(message, bytes) else b"".join(message)
    return machine.compress(plain) + machine.flush()
