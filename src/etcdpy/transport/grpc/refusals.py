"""What a client is told when its call never reaches a handler: grpc-go's codes and texts, which Go clients print.

Taken from a running etcd 3.5.1, asked frame by frame; tests/unit/transport/test_server.py holds them fast.
"""

from __future__ import annotations

from collections.abc import Container

from etcdpy.base.errors import DEADLINE_EXCEEDED, INTERNAL, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNKNOWN
from etcdpy.transport.http2 import _nghttp2 as h2


def refusal(call: h2.Stream, services: Container[str], message_bytes_max: int) -> tuple[int, str]:
    """Return the status of a call that was refused for `call.refusal`."""
    reason = call.refusal
    if reason == h2.UNKNOWN_METHOD:
        return unknown_method(call.path, services)
    if reason == h2.NO_MESSAGE:
        return UNKNOWN, "EOF"
    if reason == h2.TRUNCATED:
        return INTERNAL if call.streaming else UNKNOWN, "unexpected EOF"
    if reason == h2.TOO_LARGE:
        return RESOURCE_EXHAUSTED, too_large(call.refused_value, message_bytes_max)
    if reason == h2.BAD_FLAG:
        return INTERNAL, f"grpc: received unexpected payload format {call.refused_value}"
    if reason == h2.NO_ENCODING:
        return INTERNAL, "grpc: compressed flag set with identity or empty encoding"
    if reason == h2.BAD_ENCODING:
        encoding = go_quote((call.encoding or b"").decode("utf-8", "replace"))
        return UNIMPLEMENTED, f"grpc: Decompressor is not installed for grpc-encoding {encoding}"
    if reason == h2.EXPIRED:
        return DEADLINE_EXCEEDED, "context deadline exceeded"
    raise AssertionError(f"no text for refusal {reason}")


def too_large(size: int, limit: int) -> str:
    """Return grpc-go's text for a message above the limit."""
    return f"grpc: received message larger than max ({size} vs. {limit})"


def unknown_method(path: bytes | None, services: Container[str]) -> tuple[int, str]:
    """Return the status for a path that no method has."""
    text = (path or b"").decode("utf-8", "replace")
    if not text.startswith("/"):
        # CVE-2026-33186: a path without the slash must not be matched with or without it.
        return UNIMPLEMENTED, f"malformed method name: {go_quote(text)}"
    service, slash, method = text[1:].rpartition("/")
    if not slash:
        return RESOURCE_EXHAUSTED, f"malformed method name: {go_quote(text)}"
    if service not in services:
        return UNIMPLEMENTED, f"unknown service {service}"
    return UNIMPLEMENTED, f"unknown method {method} for service {service}"


def go_quote(text: str) -> str:
    """Return the text as Go's %q prints it (for the characters that a path may hold)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
