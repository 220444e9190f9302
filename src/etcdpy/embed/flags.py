"""The command line, read as Go's flag package reads it, with the same words for mistakes.

    -name x   --name x   -name=x   --name=x      all the same
    --pre-vote   --pre-vote=false                a boolean takes its value after `=` only
    --                                           ends the flags; so does the first argument that is none

Nothing is decided here: a ParsedFlags says what was given, `etcdpy.embed.assemble` makes a Config of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from etcdpy.base.duration import DurationError, parse_nanoseconds
from etcdpy.embed.flag_table import BY_NAME, Flag
from etcdpy.embed.urls import UrlError, parse_urls

TRUE_TEXTS: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
FALSE_TEXTS: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})

PARSE_ERROR: Final = "parse error"
RANGE_ERROR: Final = "value out of range"
INVALID_VALUE: Final = "invalid value"

# [lowest, highest] of the kinds that are whole numbers; Go's int and uint have 64 bits here.
NUMBER_RANGES: Final = {
    "int": (-(1 << 63), (1 << 63) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1),
    "uint": (0, (1 << 64) - 1),
    "uint32": (0, (1 << 32) - 1),
    "uint64": (0, (1 << 64) - 1),
}


class UsageError(Exception):
    """The command line cannot be read; `str()` is Go's sentence. The usage follows, and exit code 2."""


class HelpWanted(Exception):
    """-h, -help or --help."""


class ParsedFlags:
    """Texts by name of flag, in the order given; the last one counts."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}  # Invariant: keys are names of BY_NAME; values are parsed.
        self.ignored: list[str] = []  # flags of etcd 0.4 that were given
        self.positional: list[str] = []

    def set(self, flag: Flag, text: str) -> None:
        """Take a value. Raise ValueError in Go's words when it is none."""
        if flag.kind == "ignored":
            self.ignored.append(flag.name)
            return
        self.values[flag.name] = parse_value(flag, text)


def parse_arguments(arguments: Sequence[str]) -> ParsedFlags:
    """Read the arguments behind the program's name."""
    parsed = ParsedFlags()
    rest = list(arguments)
    while rest:
        argument = rest[0]
        if len(argument) < 2 or argument[0] != "-":
            break
        del rest[0]
        if argument == "--":
            break
        _parse_one(parsed, argument, rest)
    parsed.positional = rest
    return parsed


def _parse_one(parsed: ParsedFlags, argument: str, rest: list[str]) -> None:
    name = argument[2:] if argument.startswith("--") else argument[1:]
    if not name or name[0] in "-=":
        raise UsageError(f"bad flag syntax: {argument}")
    name, equals, text = name.partition("=")
    flag = BY_NAME.get(name)
    if flag is None:
        if name in ("help", "h"):
            raise HelpWanted
        raise UsageError(f"flag provided but not defined: -{name}")
    if flag.is_boolean:
        _set(parsed, flag, text if equals else "true", f"invalid boolean value {quote(text)} for -{name}")
        return
    if not equals:
        if not rest:
            raise UsageError(f"flag needs an argument: -{name}")
        text = rest.pop(0)
    _set(parsed, flag, text, f"invalid value {quote(text)} for flag -{name}")


def _set(parsed: ParsedFlags, flag: Flag, text: str, complaint: str) -> None:
    try:
        parsed.set(flag, text)
    except ValueError as error:
        raise UsageError(f"{complaint}: {error}") from None


def parse_value(flag: Flag, text: str) -> object:
    """Return the value of Config that `text` stands for. Raise ValueError in Go's words."""
    kind = flag.kind
    if kind == "string":
        return text
    if kind == "bool":
        return parse_bool(text)
    if kind in NUMBER_RANGES:
        return _parse_number(kind, text)
    if kind == "duration":
        return _parse_duration(text)
    if kind in ("urls", "urls-or-star"):
        return _parse_url_list(flag, text)
    if kind == "strings":
        return () if text == flag.default == "" else tuple(sorted(set(text.split(","))))
    if kind == "cipher-suites":
        return tuple(text.split(",")) if text else ()
    assert kind == "select", kind
    if text not in flag.choices:
        # This one flag quotes the value.
        raise ValueError(f"{INVALID_VALUE} {quote(text)}" if flag.name == "v2-deprecation" else INVALID_VALUE)
    return text


def parse_bool(text: str) -> bool:
    if text in TRUE_TEXTS:
        return True
    if text in FALSE_TEXTS:
        return False
    raise ValueError(PARSE_ERROR)


def _parse_number(kind: str, text: str) -> int:
    lowest, highest = NUMBER_RANGES[kind]
    number = read_go_integer(text, is_signed=lowest < 0)
    if number is None:
        raise ValueError(_unsigned_32(text, "invalid syntax") if kind == "uint32" else PARSE_ERROR)
    if not lowest <= number <= highest:
        raise ValueError(_unsigned_32(text, RANGE_ERROR) if kind == "uint32" else RANGE_ERROR)
    return number


def _unsigned_32(text: str, reason: str) -> str:
    """The one kind whose complaint etcd passes on as strconv words it."""
    return f"strconv.ParseUint: parsing {quote(text)}: {reason}"


def read_go_integer(text: str, *, is_signed: bool) -> int | None:
    """Return the number that strconv reads with base 0: 0x, 0o, 0b, a leading 0 for octal, underscores. None: none."""
    sign, body = (text[0], text[1:]) if is_signed and text[:1] in ("-", "+") else ("", text)
    # int() forgives blanks around a number, Go does not.
    if not body or not body.isascii() or not body[0].isdigit() or not body[-1].isalnum():
        return None
    if len(body) > 1 and body[0] == "0" and (body[1].isdigit() or body[1] == "_"):
        body = "0o" + body[1:].removeprefix("_")
    try:
        number = int(body, 0)
    except ValueError:
        return None
    return -number if sign == "-" else number


def _parse_duration(text: str) -> float:
    try:
        return parse_nanoseconds(text) / 1e9
    except DurationError:
        raise ValueError(PARSE_ERROR) from None


def _parse_url_list(flag: Flag, text: str) -> tuple[str, ...]:
    """Nothing given means the default, as in etcd."""
    if text == "*" and flag.kind == "urls-or-star":
        return ("*",)
    if not text:
        return ("*",) if flag.kind == "urls-or-star" else (parse_urls(flag.default) if flag.default else ())
    try:
        return parse_urls(text)
    except UrlError as error:
        raise ValueError(str(error)) from None


def quote(text: str) -> str:
    """Return the text in quotes, as Go's %q writes it."""
    return json.dumps(text, ensure_ascii=False)
