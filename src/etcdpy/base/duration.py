"""Durations as Go writes and reads them: `1h30m0s`, `100ms`, `1.5µs`.

Flags, configuration texts and log lines show durations in this form. Values are seconds as float; parsing goes through
integer nanoseconds, so that what was written is what is kept.

Upstream: Go's time.Duration.String and time.ParseDuration.
"""

from __future__ import annotations

import re
from typing import Final

_NANOSECONDS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, Greek mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60 * 1_000_000_000,
    "h": 3_600 * 1_000_000_000,
}
_NANOSECONDS_MAX: Final = (1 << 63) - 1
_NUMBER: Final = re.compile(r"(\d*)(?:\.(\d*))?", re.ASCII)
_UNIT: Final = re.compile(r"[^.\d]*", re.ASCII)


class DurationError(ValueError):
    """The text is no duration; `str()` is Go's wording."""


def parse_nanoseconds(text: str) -> int:
    """Return the duration in nanoseconds."""
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return 0
    if not body:
        raise DurationError(f"time: invalid duration {_quote(text)}")
    total = 0
    while body:
        value, body = _take_term(text, body)
        total += value
        if total > _NANOSECONDS_MAX:
            raise DurationError(f"time: invalid duration {_quote(text)}")
    return -total if text[0] == "-" else total


def _take_term(text: str, body: str) -> tuple[int, str]:
    """Return the nanoseconds of the first number and unit of `body`, and what follows them."""
    number = _NUMBER.match(body)
    if number is None or not (number[1] or number[2]):
        raise DurationError(f"time: invalid duration {_quote(text)}")
    body = body[number.end() :]
    match = _UNIT.match(body)
    unit = match[0] if match is not None else ""
    if not unit:
        raise DurationError(f"time: missing unit in duration {_quote(text)}")
    if unit not in _NANOSECONDS:
        raise DurationError(f"time: unknown unit {_quote(unit)} in duration {_quote(text)}")
    scale = _NANOSECONDS[unit]
    fraction = number[2] or ""
    value = int(number[1] or "0") * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)
    return value, body[len(unit) :]


def parse_duration(text: str) -> float:
    """Return the duration in seconds."""
    return parse_nanoseconds(text) / 1e9


def format_nanoseconds(nanoseconds: int) -> str:
    """Return the duration as Go prints it."""
    sign = "-" if nanoseconds < 0 else ""
    rest = abs(nanoseconds)
    if rest == 0:
        return "0s"
    for unit, scale in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if rest < scale * 1_000:
            return sign + _decimal(rest, scale) + unit
    minutes, rest = divmod(rest, _NANOSECONDS["m"])
    text = _decimal(rest, _NANOSECONDS["s"]) + "s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"
    return sign + text


def format_duration(seconds: float) -> str:
    return format_nanoseconds(round(seconds * 1e9))


def _decimal(value: int, scale: int) -> str:
    """Return value / scale without trailing zeros."""
    whole, rest = divmod(value, scale)
    if not rest:
        return str(whole)
    return f"{whole}." + f"{rest:0{len(str(scale)) - 1}d}".rstrip("0")


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
