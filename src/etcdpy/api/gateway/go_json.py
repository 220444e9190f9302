"""JSON as Go reads and writes it: texts of refusals and escapes included, for clients see both.

Reading goes through Python's own parser; only what that refuses is scanned a second time, for Go's words. Numbers stay
the text that they were (`Number`): what an int64 may look like is decided where one is wanted.

Limits: Python's parser goes a thousand levels deep (Go: ten thousand). A defect that stands far behind is not scanned
for: its text is then a general one.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

# Far more than people write by hand; scanning costs ten times what parsing does.
SCANNED_CHARACTERS_MAX: Final = 256 * 1024
WHITE: Final = " \t\r\n"

_EARLY_END: Final = "unexpected EOF"
_BEGINNING: Final = "looking for beginning of value"
_GOES_ON: Final = (".", "e", "E")
_WHITE_RUN = re.compile(r"[ \t\r\n]*")
_STRING_RUN = re.compile(r'[^"\\\x00-\x1f]*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ESCAPED = re.compile('["\\\\\x00-\x1f<>&\u2028\u2029\ud800-\udfff]')
_SHORT_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Number(str):
    """A number as it was written."""

    __slots__ = ()


class JsonError(ValueError):
    """What is wrong with a text, as Go says it."""


class Incomplete(JsonError):
    """The text ends before its value does; more of it may follow."""


def parse_first(text: str, start: int = 0) -> tuple[Any, int]:
    """Return the first value of `text` and where it ends. Raise JsonError; EOFError where there is only white space."""
    start = _skip_white(text, start)
    if start == len(text):
        raise EOFError
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise JsonError("invalid character '[' exceeded max depth") from None
    except ValueError as error:
        raise _explain(text, start, error) from None
    if isinstance(value, Number) and text[end : end + 1] in _GOES_ON:
        raise _explain(text, start, ValueError())  # Python stops before what makes it no number
    return value, end


def parse_whole(text: str) -> Any:
    """Return the value that `text` is. Raise JsonError."""
    try:
        value, end = parse_first(text)
    except (Incomplete, EOFError):
        raise JsonError("unexpected end of JSON input") from None
    end = _skip_white(text, end)
    if end < len(text):
        raise _unexpected(text, end, "after top-level value")
    return value


def kind_name(value: object) -> str:
    """Return what Go calls a value that it cannot use."""
    if isinstance(value, Number):
        return f"number {value}"
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    return "array" if isinstance(value, list) else "object"


def write_text(text: str) -> str:
    """Return a string as Go's encoding/json writes it, safe to stand in HTML."""
    if _ESCAPED.search(text):
        text = _ESCAPED.sub(_escape, text)
    return f'"{text}"'


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    if "\ud800" <= character <= "\udfff":
        return "\\ufffd"
    return _SHORT_ESCAPES.get(character) or f"\\u{ord(character):04x}"


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse_constant)


def _skip_white(text: str, at: int) -> int:
    match = _WHITE_RUN.match(text, at)
    assert match is not None
    return match.end()


def _explain(text: str, start: int, error: ValueError) -> JsonError:
    """Return the defect that Go would have met first."""
    at = getattr(error, "pos", start)
    if at - start > SCANNED_CHARACTERS_MAX:
        if at >= len(text) - 1 or "Unterminated" in str(error):
            return Incomplete(_EARLY_END)
        return _unexpected(text, at, _BEGINNING)
    try:
        _Scanner(text).scan(start)
    except JsonError as found:
        return found
    return JsonError(_EARLY_END)


def _unexpected(text: str, at: int, where: str) -> JsonError:
    return JsonError(f"invalid character {_quote(text[at])} {where}")


def _quote(character: str) -> str:
    """Return the first byte of a character as Go shows it."""
    byte = character.encode("utf-8", "replace")[0]
    if byte == 0x27:
        return "'\\''"
    if byte == 0x22:
        return "'\"'"
    shown = {0x07: "\\a", 0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0B: "\\v", 0x0C: "\\f", 0x0D: "\\r", 0x5C: "\\\\"}
    if byte in shown:
        return f"'{shown[byte]}'"
    if byte < 0x20:
        return f"'\\x{byte:02x}'"
    if 0x7F <= byte < 0xA1 or byte == 0xAD:
        return f"'\\u{byte:04x}'"
    return f"'{chr(byte)}'"


class _Scanner:
    """Goes through a text as Go's scanner does, without recursion, until something is wrong."""

    def __init__(self, text: str) -> None:
        self._text = text

    def scan(self, at: int) -> int:
        """Return the end of the value at `at`. Raise JsonError."""
        open_: list[str] = []
        at = self._begin_value(at, open_)
        while open_:
            at = self._white(at)
            character = self._get(at)
            in_object = open_[-1] == "{"
            if character == ("}" if in_object else "]"):
                open_.pop()
                at += 1
            elif character != ",":
                where = "after object key:value pair" if in_object else "after array element"
                raise _unexpected(self._text, at, where)
            elif in_object:
                at = self._begin_value(self._key(at + 1), open_)
            else:
                at = self._begin_value(at + 1, open_)
        return at

    def _begin_value(self, at: int, open_: list[str]) -> int:
        """Read a value, or the beginnings of one that holds others, down to the first that is complete."""
        while True:
            at = self._white(at)
            character = self._get(at)
            if character not in "{[":
                return self._scalar(at)
            inside = self._white(at + 1)
            if self._get(inside) == ("}" if character == "{" else "]"):
                return inside + 1
            open_.append(character)
            at = self._key(inside) if character == "{" else inside

    def _key(self, at: int) -> int:
        at = self._white(at)
        if self._get(at) != '"':
            raise _unexpected(self._text, at, "looking for beginning of object key string")
        at = self._white(self._string(at))
        if self._get(at) != ":":
            raise _unexpected(self._text, at, "after object key")
        return at + 1

    def _scalar(self, at: int) -> int:
        character = self._get(at)
        if character == '"':
            return self._string(at)
        if character == "-" or character in "0123456789":
            return self._number(at)
        for literal in ("true", "false", "null"):
            if character == literal[0]:
                return self._literal(at, literal)
        raise _unexpected(self._text, at, _BEGINNING)

    def _literal(self, at: int, literal: str) -> int:
        for offset, wanted in enumerate(literal[1:], 1):
            if self._get(at + offset) != wanted:
                where = f"in literal {literal} (expecting {_quote(wanted)})"
                raise _unexpected(self._text, at + offset, where)
        return at + len(literal)

    def _string(self, at: int) -> int:
        at += 1
        while True:
            match = _STRING_RUN.match(self._text, at)
            assert match is not None
            at = match.end()
            character = self._get(at)
            if character == '"':
                return at + 1
            if character != "\\":
                raise _unexpected(self._text, at, "in string literal")
            at = self._escape(at + 1)

    def _escape(self, at: int) -> int:
        character = self._get(at)
        if character != "u":
            if character not in '"\\/bfnrt':
                raise _unexpected(self._text, at, "in string escape code")
            return at + 1
        for digit in range(at + 1, at + 5):
            if self._get(digit) not in "0123456789abcdefABCDEF":
                raise _unexpected(self._text, digit, "in \\u hexadecimal character escape")
        return at + 5

    def _number(self, at: int) -> int:
        match = _NUMBER.match(self._text, at)
        if match is None:
            raise self._unexpected_or_end(at + 1, "in numeric literal")
        end = match.end()
        if self._text[end : end + 1] == "." and "." not in match.group() and "e" not in match.group().lower():
            raise self._unexpected_or_end(end + 1, "after decimal point in numeric literal")
        if self._text[end : end + 1] in ("e", "E") and "e" not in match.group().lower():
            sign = self._text[end + 1 : end + 2] in ("+", "-")
            raise self._unexpected_or_end(end + 1 + sign, "in exponent of numeric literal")
        return end

    def _unexpected_or_end(self, at: int, where: str) -> JsonError:
        return _unexpected(self._text, at, where) if at < len(self._text) else Incomplete(_EARLY_END)

    def _white(self, at: int) -> int:
        return _skip_white(self._text, at)

    def _get(self, at: int) -> str:
        if at >= len(self._text):
            raise Incomplete(_EARLY_END)
        return self._text[at]
