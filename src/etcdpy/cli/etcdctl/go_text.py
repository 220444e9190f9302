"""Go's notations, which etcdctl's users read and their scripts parse: %q, strconv, durations, JSON strings, sizes.

Bytes that came from the command line travel as str with surrogate escapes (Python's argv) until `os.fsencode`.
"""

from __future__ import annotations

from typing import Final

INT64_MAX: Final = (1 << 63) - 1
UINT64_MAX: Final = (1 << 64) - 1

_ESCAPES: Final = {
    0x07: "\\a",
    0x08: "\\b",
    0x09: "\\t",
    0x0A: "\\n",
    0x0B: "\\v",
    0x0C: "\\f",
    0x0D: "\\r",
    0x22: '\\"',
    0x5C: "\\\\",
}
_UNESCAPES: Final = {text[1]: chr(code) for code, text in _ESCAPES.items()}
_DIGITS_OF_ESCAPE: Final = {"x": 2, "u": 4, "U": 8}

_UNIT_NANOSECONDS: Final = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}

_TRUE: Final = ("1", "t", "T", "TRUE", "true", "True")
_FALSE: Final = ("0", "f", "F", "FALSE", "false", "False")


class GoError(ValueError):
    """A text that Go's parser would refuse; the message is Go's."""


def quote(data: bytes) -> str:
    """Return %q of a string."""
    text = data.decode("utf-8", "surrogateescape")
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_quote_character, text)) + '"'


def quote_text(text: str) -> str:
    """Return %q of a text that came from the command line."""
    return quote(text.encode("utf-8", "surrogateescape"))


def _quote_character(character: str) -> str:
    code = ord(character)
    if code in _ESCAPES:
        return _ESCAPES[code]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable():
        return character
    if code < 0x20:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def hex_bytes(data: bytes) -> bytes:
    """Return every byte as \\xNN."""
    return b"".join(b"\\x%02x" % byte for byte in data)


def unquote(text: str) -> bytes:
    """Return what a Go string literal ("..." or `...`) stands for; GoError("invalid syntax") if it is none."""
    if len(text) < 2 or text[0] != text[-1] or text[0] not in '"`':
        raise GoError("invalid syntax")
    body = text[1:-1]
    if text[0] == "`":
        return body.replace("\r", "").encode("utf-8", "surrogateescape")
    if '"' in body.replace("\\\\", "").replace('\\"', "") or "\n" in body:
        raise GoError("invalid syntax")
    out = bytearray()
    at = 0
    while at < len(body):
        if body[at] != "\\":
            out += body[at].encode("utf-8", "surrogateescape")
            at += 1
            continue
        at = _unescape(body, at + 1, out)
    return bytes(out)


def _unescape(body: str, at: int, out: bytearray) -> int:
    """Append the character behind a backslash; return where the text goes on."""
    kind = body[at : at + 1]
    if kind in _UNESCAPES and kind:
        out += _UNESCAPES[kind].encode()
        return at + 1
    if kind in _DIGITS_OF_ESCAPE and kind:
        digits = body[at + 1 : at + 1 + _DIGITS_OF_ESCAPE[kind]]
        code = _digits(digits, 16, _DIGITS_OF_ESCAPE[kind])
        if kind == "x":
            out.append(code)
        elif code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise GoError("invalid syntax")
        else:
            out += chr(code).encode()
        return at + 1 + len(digits)
    code = _digits(body[at : at + 3], 8, 3)
    if code > 255:
        raise GoError("invalid syntax")
    out.append(code)
    return at + 3


def _digits(text: str, base: int, length: int) -> int:
    allowed = "0123456789abcdefABCDEF" if base == 16 else "01234567"
    if len(text) != length or any(digit not in allowed for digit in text):
        raise GoError("invalid syntax")
    return int(text, base)


def parse_int(text: str, base: int = 10) -> int:
    """Return strconv.ParseInt(text, base, 64); base 0 takes prefixes and underscores."""
    return _parse(text, base, "ParseInt", signed=True)


def parse_uint(text: str, base: int = 10) -> int:
    """Return strconv.ParseUint(text, base, 64)."""
    return _parse(text, base, "ParseUint", signed=False)


def _parse(text: str, base: int, function: str, *, signed: bool) -> int:
    number = _to_int(text, base, signed=signed)
    if number is None:
        raise GoError(f"strconv.{function}: parsing {quote_text(text)}: invalid syntax")
    if not (-INT64_MAX - 1 <= number <= INT64_MAX if signed else number <= UINT64_MAX):
        raise GoError(f"strconv.{function}: parsing {quote_text(text)}: value out of range")
    return number


def _to_int(text: str, base: int, *, signed: bool) -> int | None:
    digits = text[1:] if signed and text[:1] in ("+", "-") else text
    # int() takes more than Go does: blanks, other scripts' digits, underscores in every base.
    if not digits.isascii() or not digits.replace("_", "").isalnum() or digits[0] in "+-":
        return None
    if base != 0 and "_" in digits:
        return None
    if base == 0 and len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567_":
        digits = "0o" + digits[1:]
    if base == 16 and digits[:2] in ("0x", "0X"):
        return None
    try:
        number = int(digits, base)
    except ValueError:
        return None
    return -number if text[0] == "-" else number


def parse_bool(text: str) -> bool:
    """Return strconv.ParseBool(text)."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise GoError(f"strconv.ParseBool: parsing {quote_text(text)}: invalid syntax")


def parse_duration(text: str) -> int:
    """Return time.ParseDuration(text) in nanoseconds."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    sign = -1 if text[:1] == "-" else 1
    if rest == "0":
        return 0
    if not rest:
        raise GoError(f"time: invalid duration {quote_text(text)}")
    total = 0
    while rest:
        whole, rest = _split_digits(rest)
        fraction, rest = _split_digits(rest[1:]) if rest[:1] == "." else ("", rest)
        if not whole and not fraction:
            raise GoError(f"time: invalid duration {quote_text(text)}")
        unit, rest = _split_unit(rest)
        if not unit:
            raise GoError(f"time: missing unit in duration {quote_text(text)}")
        if unit not in _UNIT_NANOSECONDS:
            raise GoError(f"time: unknown unit {quote_text(unit)} in duration {quote_text(text)}")
        scale = _UNIT_NANOSECONDS[unit]
        total += int(whole or "0") * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)
    if total > INT64_MAX:
        raise GoError(f"time: invalid duration {quote_text(text)}")
    return sign * total


def _split_digits(text: str) -> tuple[str, str]:
    rest = text.lstrip("0123456789")
    return text[: len(text) - len(rest)], rest


def _split_unit(text: str) -> tuple[str, str]:
    end = next((at for at, character in enumerate(text) if character in "0123456789."), len(text))
    return text[:end], text[end:]


def format_duration(nanoseconds: int) -> str:
    """Return Duration.String(): 1.5s, 956.715µs, 1h2m0s."""
    if nanoseconds == 0:
        return "0s"
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if left < 1_000_000_000:
        for scale, unit in ((1_000_000, "ms"), (1_000, "\u00b5s"), (1, "ns")):
            if left >= scale:
                return sign + _decimal(left, scale) + unit
    minutes, seconds = divmod(left, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{_decimal(seconds, 1_000_000_000)}s"


def _decimal(amount: int, scale: int) -> str:
    whole, fraction = divmod(amount, scale)
    digits = f"{fraction:0{len(str(scale)) - 1}d}".rstrip("0") if fraction else ""
    return f"{whole}.{digits}" if digits else str(whole)


def json_string(text: str) -> str:
    """Return encoding/json's form of a string: HTML characters escaped, broken UTF-8 replaced."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return '"' + "".join(map(_json_character, text)) + '"'


def _json_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    if character < " " or character in "<>&\u2028\u2029":
        return f"\\u{ord(character):04x}"
    return character


def human_bytes(size: int) -> str:
    """Return a size as go-humanize does: 20 kB, 1.5 MB."""
    if size < 10:
        return f"{size} B"
    units = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
    power = (len(str(size)) - 1) // 3
    # Half a tenth is rounded up, in integers so that no platform's floats decide.
    tenths = (size * 20 // 1000**power + 1) // 2
    whole, rest = divmod(tenths, 10)
    if tenths < 100:
        return f"{whole}.{rest} {units[power]}"
    # Halves go to the even neighbour, as %.0f does.
    return f"{whole + (rest > 5 or (rest == 5 and whole % 2 == 1))} {units[power]}"
