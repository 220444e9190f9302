"""gzip as grpc-encoding: bounded on the way in, whatever the declared sizes say.

The texts are those of Go's gzip package: they reach the client.
"""

from __future__ import annotations

import zlib
from typing import Final

# gzip framing for zlib's window bits.
GZIP_WINDOW_BITS: Final = 16 + zlib.MAX_WBITS
# Answers are compressed for clients on slow links that asked for it; speed matters more than the last per cent.
GZIP_LEVEL: Final = 1
# The last four bytes of a gzip member: the size of its content, modulo 2^32.
SIZE_BYTES: Final = 4


class TooLarge(Exception):
    """The message is larger than allowed once decompressed."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


def inflate(data: bytes, limit_bytes: int) -> bytes:
    """Return the decompressed bytes. Raises TooLarge, or ValueError for anything that is not gzip from end to end."""
    if not data:
        raise ValueError("EOF")
    # grpc-go believes the size at the end before it looks at the content; so does the text of its error.
    declared = int.from_bytes(data[-SIZE_BYTES:], "little") if len(data) >= SIZE_BYTES else 0
    if data[:2] == b"\x1f\x8b" and declared > limit_bytes:
        raise TooLarge(declared)
    plain = bytearray()
    while data:
        machine = zlib.decompressobj(GZIP_WINDOW_BITS)
        try:
            plain += machine.decompress(data, limit_bytes - len(plain) + 1)
        except zlib.error as error:
            raise ValueError(go_text(str(error))) from error
        if len(plain) > limit_bytes:
            raise TooLarge(len(plain))
        if not machine.eof:
            raise ValueError("unexpected EOF")
        data = machine.unused_data
    return bytes(plain)


def deflate(message: bytes | list[bytes]) -> bytes:
    """Return the message as one gzip stream."""
    machine = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW_BITS)
    plain = message if isinstance(message, bytes) else b"".join(message)
    return machine.compress(plain) + machine.flush()


def go_text(zlib_text: str) -> str:
    """Return what Go says where zlib says this."""
    if "header" in zlib_text:
        return "gzip: invalid header"
    if "incorrect data check" in zlib_text or "incorrect length check" in zlib_text:
        return "gzip: invalid checksum"
    return "flate: corrupt input"
