"""Bytes as Go's %q prints them: the form in which traces and logs show data."""

from __future__ import annotations

_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


def quote(data: bytes) -> str:
    # Bytes that are not UTF-8 come out of the decoder as lone surrogates, 0xDC00 above their value.
    return '"' + "".join(_quote_rune(ord(rune)) for rune in data.decode("utf-8", "surrogateescape")) + '"'


def _quote_rune(rune: int) -> str:
    if rune in _ESCAPES:
        return _ESCAPES[rune]
    if 0xDC80 <= rune <= 0xDCFF:
        return f"\\x{rune - 0xDC00:02x}"
    if rune < 0x20 or rune == 0x7F:
        return f"\\x{rune:02x}"
    if chr(rune).isprintable():
        return chr(rune)
    return f"\\u{rune:04x}" if rune < 0x10000 else f"\\U{rune:08x}"
