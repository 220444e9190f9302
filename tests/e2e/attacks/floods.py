"""Floods over HTTP/2: endless frames, each cheap to send and meant to be dear to take.

    FLOODS[name](path)     an iterator of frames for one connection that has said its opening words; `path` is a method

Each begins with stream 1, so that the same bytes may be sent on the next connection.
"""

from __future__ import annotations

import gzip
import itertools
import struct
from collections.abc import Callable, Iterator
from typing import Final

from tests.unit.transport import wire

STREAM_IDS: Final = range(1, 1 << 30, 2)
CANCEL: Final = 8
Flood = Callable[[bytes], Iterator[bytes]]


# ---- calls that end before they are answered


def rapid_reset(path: bytes) -> Iterator[bytes]:
    block = wire.request_fields(path)
    for i in STREAM_IDS:
        yield wire.headers(i, block, end=True) + wire.frame(wire.RST_STREAM, 0, i, struct.pack(">I", CANCEL))


def made_you_reset_by_window(path: bytes) -> Iterator[bytes]:
    block = wire.request_fields(path)
    for i in STREAM_IDS:
        yield wire.headers(i, block) + wire.frame(wire.WINDOW_UPDATE, 0, i, bytes(4))


def made_you_reset_by_length(path: bytes) -> Iterator[bytes]:
    block = wire.request_fields(path) + wire.field(b"content-length", b"1")
    for i in STREAM_IDS:
        yield wire.headers(i, block) + wire.data(i, b"xxx", end=False)


def made_you_reset_by_type(path: bytes) -> Iterator[bytes]:
    block = wire.request_fields(path, content_type=b"text/html")
    for i in STREAM_IDS:
        yield wire.headers(i, block)


# ---- headers


def continuation(path: bytes) -> Iterator[bytes]:
    yield wire.frame(wire.HEADERS, 0, 1, wire.request_fields(path))
    while True:
        yield wire.frame(wire.CONTINUATION, 0, 1, wire.field(b"a", b"b" * 100))


def empty_continuation(path: bytes) -> Iterator[bytes]:
    yield wire.frame(wire.HEADERS, 0, 1, wire.request_fields(path))
    while True:
        yield wire.frame(wire.CONTINUATION, 0, 1)


def hpack_bomb(path: bytes) -> Iterator[bytes]:
    """One entry of 3.9 KB in the dynamic table, then one byte for each repetition."""
    block = wire.request_fields(path)
    entry = b"\x40\x01a\x7f" + bytes((0x80 | (3900 - 127) & 127, (3900 - 127) >> 7)) + b"v" * 3900
    yield wire.headers(1, block + entry, end=True)
    for i in STREAM_IDS[1:]:
        yield wire.headers(i, block + b"\xbe" * 16000, end=True)


def nameless_headers(path: bytes) -> Iterator[bytes]:
    """Fields without a name and without a value (CVE-2019-9516)."""
    block = wire.request_fields(path) + wire.field(b"", b"") * 2000
    for i in STREAM_IDS:
        yield wire.headers(i, block, end=True)


def endless_number(path: bytes) -> Iterator[bytes]:
    """A length that goes on and on, in an HPACK integer."""
    block = wire.request_fields(path) + b"\x00\x7f" + b"\xff" * 8000
    for i in STREAM_IDS:
        yield wire.headers(i, block, end=True)


# ---- frames about the connection


def pings(path: bytes) -> Iterator[bytes]:
    while True:
        yield wire.frame(wire.PING, 0, 0, b"12345678")


def settings(path: bytes) -> Iterator[bytes]:
    while True:
        yield wire.frame(wire.SETTINGS, 0, 0, struct.pack(">HI", 4, 65535))


def long_settings(path: bytes) -> Iterator[bytes]:
    while True:
        yield wire.frame(wire.SETTINGS, 0, 0, struct.pack(">HI", 4, 65535) * 2000)


def frames_of_no_size(path: bytes) -> Iterator[bytes]:
    """SETTINGS_MAX_FRAME_SIZE of 0, twice (CVE-2026-33814, CVE-2026-27141): an error of the connection."""
    while True:
        yield wire.frame(wire.SETTINGS, 0, 0, struct.pack(">HI", 5, 0) * 2)


def priorities(path: bytes) -> Iterator[bytes]:
    for i in STREAM_IDS:
        yield wire.frame(wire.PRIORITY, 0, i, struct.pack(">IB", 0 if i == 1 else 1, 5))


def priority_updates(path: bytes) -> Iterator[bytes]:
    for i in STREAM_IDS:
        yield wire.frame(wire.PRIORITY_UPDATE, 0, 0, struct.pack(">I", i) + b"u=1")


def window_updates(path: bytes) -> Iterator[bytes]:
    while True:
        yield wire.frame(wire.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1))


def unknown_frames(path: bytes) -> Iterator[bytes]:
    for kind in itertools.cycle((0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x77)):
        yield wire.frame(kind, 0, 0, b"x" * 20)


# ---- messages


def empty_data(path: bytes) -> Iterator[bytes]:
    yield wire.headers(1, wire.request_fields(path))
    while True:
        yield wire.data(1, b"", end=False)


def requests(path: bytes, message: bytes) -> Iterator[bytes]:
    """Calls as they should be, but nobody waits for an answer."""
    block = wire.request_fields(path)
    for i in STREAM_IDS:
        yield wire.headers(i, block) + wire.data(i, wire.message(message))


def half_sent_uploads(path: bytes) -> Iterator[bytes]:
    """1,000 messages of 2 MiB begun and never ended."""
    block = wire.request_fields(path)
    ids = STREAM_IDS[:1000]
    for i in ids:
        yield wire.headers(i, block) + wire.data(i, b"\x00\x00\x20\x00\x00", end=False)
    while True:
        for i in ids:
            yield wire.data(i, bytes(16000), end=False)


def huge_lengths(path: bytes) -> Iterator[bytes]:
    """Messages that claim 4 GiB."""
    block = wire.request_fields(path)
    for i in STREAM_IDS:
        yield wire.headers(i, block) + wire.data(i, b"\x00\xff\xff\xff\xffabc", end=False)


def gzip_bombs(path: bytes) -> Iterator[bytes]:
    """8 KB that unpack to 8 MB."""
    packed = bytearray(gzip.compress(bytes(16 << 20), compresslevel=9)[:8000])
    block = wire.request_fields(path, extra=[(b"grpc-encoding", b"gzip")])
    for i in STREAM_IDS:
        yield wire.headers(i, block) + wire.data(i, wire.message(bytes(packed), flag=1))


FLOODS: Final[dict[str, Flood]] = {
    "rapid reset": rapid_reset,
    "made-you-reset by window": made_you_reset_by_window,
    "made-you-reset by content-length": made_you_reset_by_length,
    "made-you-reset by content-type": made_you_reset_by_type,
    "continuation": continuation,
    "empty continuation": empty_continuation,
    "hpack bomb": hpack_bomb,
    "nameless headers": nameless_headers,
    "endless number": endless_number,
    "ping": pings,
    "settings": settings,
    "long settings": long_settings,
    "frames of no size": frames_of_no_size,
    "priority": priorities,
    "priority update": priority_updates,
    "window update": window_updates,
    "unknown frames": unknown_frames,
    "empty data": empty_data,
}
# Those that end otherwise than by a flood's GOAWAY: each is an offence by itself, or is held back by windows.
UPLOADS: Final[dict[str, Flood]] = {
    "half-sent uploads": half_sent_uploads,
    "huge lengths": huge_lengths,
    "gzip bombs": gzip_bombs,
}
