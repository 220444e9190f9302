"""HTTP/2 by hand: frames as bytes, for saying what no client library would say."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
PRIORITY_UPDATE = 16
END_STREAM, ACK, END_HEADERS = 1, 1, 4

Frame = tuple[int, int, int, bytes]


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream_id) + payload


def field(name: bytes, value: bytes) -> bytes:
    """A header field as an HPACK literal that is not indexed (values up to 126 bytes)."""
    assert len(name) < 127 and len(value) < 127
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


def request_fields(
    path: bytes = b"/test.Echo/Unary",
    *,
    method: bytes = b"POST",
    content_type: bytes | None = b"application/grpc",
    extra: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    """The header block of a gRPC request."""
    fields = [(b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", b"x")]
    if content_type is not None:
        fields.append((b"content-type", content_type))
    fields.append((b"te", b"trailers"))
    return b"".join(field(name, value) for name, value in [*fields, *extra])


def message(body: bytes, flag: int = 0) -> bytes:
    """gRPC's framing of one message."""
    return bytes((flag,)) + struct.pack(">I", len(body)) + body


def headers(stream_id: int, block: bytes | None = None, *, end: bool = False) -> bytes:
    """A HEADERS frame with a whole header block."""
    flags = END_HEADERS | (END_STREAM if end else 0)
    return frame(HEADERS, flags, stream_id, request_fields() if block is None else block)


def data(stream_id: int, body: bytes, *, end: bool = True) -> bytes:
    """A DATA frame."""
    return frame(DATA, END_STREAM if end else 0, stream_id, body)


def frames_of(stream: bytes) -> list[Frame]:
    """The whole frames in what was received."""
    found = []
    at = 0
    while at + 9 <= len(stream):
        size = int.from_bytes(stream[at : at + 3], "big")
        if at + 9 + size > len(stream):
            break
        stream_id = int.from_bytes(stream[at + 5 : at + 9], "big")
        found.append((stream[at + 3], stream[at + 4], stream_id, stream[at + 9 : at + 9 + size]))
        at += 9 + size
    return found


def connect(port: int, *, settings: bytes = b"") -> socket.socket:
    """A connection that has said HTTP/2's opening words."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))
    return sock


def read_until(sock: socket.socket, kind: int, stream_id: int | None = None) -> Frame:
    """The first frame of this kind; fails when the connection ends or says nothing for ten seconds."""
    got = b""
    sock.settimeout(10)
    while True:
        for each in frames_of(got):
            if each[0] == kind and stream_id in (None, each[2]):
                return each
        chunk = sock.recv(65536)
        if not chunk:
            raise AssertionError(f"connection closed before a frame of kind {kind}; got {frames_of(got)}")
        got += chunk


def read_to_end(sock: socket.socket) -> bytes:
    """Everything until the other side closes."""
    got = b""
    sock.settimeout(10)
    while True:
        try:
            chunk = sock.recv(1 << 20)
        except ConnectionError:
            return got
        if not chunk:
            return got
        got += chunk
