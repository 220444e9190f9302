"""Command line flags in the syntax of Go's pflag: anywhere between the arguments, `--flag=value`, `--flag value`.

Rules
  * A boolean takes a value only behind `=`; every other flag without `=` takes the next word.
  * `--` ends the flags. `ParsedFlags.dash_index` remembers how many arguments stood before it.
  * A flag given twice: the last one counts, except for lists, which grow.
  * Errors are FlagError with pflag's texts.

Why not click: it does not know this syntax (shorthands with values, words after unknown flags, the error texts), and
importing it costs more than the rest of a `get`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from etcdpy.cli.etcdctl.go_text import GoError, parse_bool, parse_duration, parse_int, quote_text

BOOL: Final = "bool"
STRING: Final = "string"
INT: Final = "int"
DURATION: Final = "duration"
STRINGS: Final = "strings"

# What a flag's value is in Python; durations are nanoseconds.
FlagValue = bool | str | int | list[str]


class FlagError(Exception):
    """The command line is wrong; the text is pflag's."""


class Flag:
    """One flag of a command. `default` is written as a user would write it."""

    __slots__ = ("name", "kind", "default", "usage", "shorthand")

    def __init__(self, name: str, kind: str, default: str, usage: str, shorthand: str = "") -> None:
        self.name = name
        self.kind = kind
        self.default = default
        self.usage = usage
        self.shorthand = shorthand

    def parse(self, text: str) -> FlagValue:
        """Return the value that `text` stands for; raises GoError."""
        if self.kind == BOOL:
            return parse_bool(text)
        if self.kind == INT:
            return parse_int(text, 0)
        if self.kind == DURATION:
            return parse_duration(text)
        if self.kind == STRINGS:
            return _split_list(text)
        return text


def _split_list(text: str) -> list[str]:
    if not text:
        return []
    if '"' not in text:
        return text.split(",")
    import csv

    return next(csv.reader([text]))


class FlagSet:
    """The flags a command knows."""

    def __init__(self, flags: Sequence[Flag]) -> None:
        self.by_name = {flag.name: flag for flag in flags}
        self.by_shorthand = {flag.shorthand: flag for flag in flags if flag.shorthand}

    def parse(self, words: Sequence[str]) -> ParsedFlags:
        """Split words into arguments and flag values; raises FlagError."""
        return _Parser(self, words).run()


class ParsedFlags:
    """The values of all flags (given or default) and the arguments between them."""

    def __init__(self, flags: FlagSet) -> None:
        self._flags = flags
        self._given: dict[str, FlagValue] = {}
        self.arguments: list[str] = []
        self.dash_index: int | None = None

    def is_given(self, name: str) -> bool:
        return name in self._given

    def set(self, name: str, text: str) -> None:
        """Set a flag from text as the command line does; raises GoError."""
        flag = self._flags.by_name[name]
        value = flag.parse(text)
        earlier = self._given.get(name)
        if isinstance(value, list) and isinstance(earlier, list):
            value = earlier + value
        self._given[name] = value

    def value(self, name: str) -> FlagValue:
        if name in self._given:
            return self._given[name]
        flag = self._flags.by_name[name]
        return flag.parse(flag.default)

    def boolean(self, name: str) -> bool:
        value = self.value(name)
        assert isinstance(value, bool)
        return value

    def string(self, name: str) -> str:
        value = self.value(name)
        assert isinstance(value, str)
        return value

    def integer(self, name: str) -> int:
        value = self.value(name)
        assert isinstance(value, int)
        return value

    def seconds(self, name: str) -> float:
        return self.integer(name) / 1e9

    def strings(self, name: str) -> list[str]:
        value = self.value(name)
        assert isinstance(value, list)
        return value


class _Parser:
    """One pass over the words of a command line."""

    def __init__(self, flags: FlagSet, words: Sequence[str]) -> None:
        self._flags = flags
        self._words = words
        self._at = 0
        self._parsed = ParsedFlags(flags)

    def run(self) -> ParsedFlags:
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            if word == "--":
                self._parsed.dash_index = len(self._parsed.arguments)
                self._parsed.arguments += self._words[self._at :]
                break
            if word.startswith("--"):
                self._parse_long(word)
            elif word.startswith("-") and word != "-":
                self._parse_short(word)
            else:
                self._parsed.arguments.append(word)
        return self._parsed

    def _parse_long(self, word: str) -> None:
        name, equals, text = word[2:].partition("=")
        if not name or name[0] in "-=":
            raise FlagError(f"bad flag syntax: {word}")
        flag = self._flags.by_name.get(name)
        if flag is None:
            raise FlagError(f"unknown flag: --{name}")
        if not equals:
            text = "true" if flag.kind == BOOL else self._next_word(f"--{name}")
        self._set(flag, text)

    def _parse_short(self, word: str) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = self._flags.by_shorthand.get(letter)
            if flag is None:
                raise FlagError(f"unknown shorthand flag: {_quote_letter(letter)} in -{letter}{letters}")
            if letters[:1] == "=" and len(letters) > 1:
                text, letters = letters[1:], ""
            elif flag.kind == BOOL:
                text = "true"
            elif letters:
                text, letters = letters, ""
            else:
                text = self._next_word(f"{_quote_letter(letter)} in -{letter}")
            self._set(flag, text)

    def _next_word(self, shown: str) -> str:
        if self._at >= len(self._words):
            raise FlagError(f"flag needs an argument: {shown}")
        self._at += 1
        return self._words[self._at - 1]

    def _set(self, flag: Flag, text: str) -> None:
        try:
            self._parsed.set(flag.name, text)
        except GoError as error:
            shown = f"-{flag.shorthand}, --{flag.name}" if flag.shorthand else f"--{flag.name}"
            raise FlagError(f"invalid argument {quote_text(text)} for {quote_text(shown)} flag: {error}") from None


def _quote_letter(letter: str) -> str:
    return "'" + ("\\'" if letter == "'" else quote_text(letter)[1:-1]) + "'"
