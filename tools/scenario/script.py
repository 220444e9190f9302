r"""The file format of scenarios: commands, their input, and the output expected of them.

    # a comment
    command argument key=value key=(a,b)
    optional input lines
    ----
    expected output, up to a blank line

An output with blank lines stands between doubled separators. A backslash at the end of a command line continues it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

SEPARATOR = "----"

_ARGUMENT = re.compile(r"([^\s=()]+)(?:=(\([^)]*\)|[^\s()]*))?\s*")


class ScriptError(Exception):
    """The file is no scenario."""


@dataclass(slots=True)
class Argument:
    """One argument of a command. `values` is empty for a bare word."""

    key: str
    values: list[str]

    @property
    def value(self) -> str:
        if len(self.values) != 1:
            raise ScriptError(f"argument {self.key} takes one value, not {self.values}")
        return self.values[0]


@dataclass(slots=True)
class Directive:
    """One command of a script."""

    line: int
    command: str
    arguments: list[Argument]
    input: str
    expected: str
    # The lines of the file that hold `expected`, separators included: what --rewrite replaces.
    output_start: int = 0
    output_end: int = 0

    def words(self) -> list[str]:
        """Return the bare words among the arguments."""
        return [argument.key for argument in self.arguments if not argument.values]

    def find(self, key: str) -> Argument | None:
        for argument in self.arguments:
            if argument.key == key and argument.values:
                return argument
        return None

    def text(self, key: str, default: str) -> str:
        argument = self.find(key)
        return default if argument is None else argument.value

    def flag(self, key: str) -> bool:
        value = self.text(key, "false")
        if value not in ("true", "false"):
            raise ScriptError(f"{key} is true or false, not {value}")
        return value == "true"


@dataclass(slots=True)
class Script:
    lines: list[str]
    directives: list[Directive] = field(default_factory=list)


def parse(text: str) -> Script:
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    script = Script(lines)
    position = 0
    while position < len(lines):
        line = lines[position].strip()
        if not line or line.startswith("#"):
            position += 1
            continue
        position = _parse_directive(script, position)
    return script


def _parse_directive(script: Script, start: int) -> int:
    lines = script.lines
    position = start
    command_line = lines[position].strip()
    while command_line.endswith("\\"):
        position += 1
        command_line = command_line[:-1].rstrip() + " " + lines[position].strip()
    position += 1
    input_lines: list[str] = []
    while position < len(lines) and lines[position] != SEPARATOR:
        if not lines[position].strip():
            raise ScriptError(f"line {start + 1}: {command_line!r} has no {SEPARATOR}")
        input_lines.append(lines[position])
        position += 1
    if position >= len(lines):
        raise ScriptError(f"line {start + 1}: {command_line!r} has no {SEPARATOR}")
    output_start = position
    expected, position = _parse_expected(lines, position + 1)
    command, _, rest = command_line.partition(" ")
    script.directives.append(
        Directive(start + 1, command, parse_arguments(rest), "\n".join(input_lines), expected, output_start, position)
    )
    return position


def _parse_expected(lines: list[str], position: int) -> tuple[str, int]:
    """Return the expected output that starts at `position`, and where it ends."""
    collected: list[str] = []
    if position < len(lines) and lines[position] == SEPARATOR:
        position += 1
        while lines[position : position + 2] != [SEPARATOR, SEPARATOR]:
            if position >= len(lines):
                raise ScriptError("a doubled separator is never closed")
            collected.append(lines[position])
            position += 1
        position += 2
    else:
        while position < len(lines) and lines[position].strip():
            collected.append(lines[position])
            position += 1
    return "".join(line + "\n" for line in collected), position


def parse_arguments(text: str) -> list[Argument]:
    text = text.strip()
    arguments: list[Argument] = []
    position = 0
    while position < len(text):
        match = _ARGUMENT.match(text, position)
        if match is None:
            raise ScriptError(f"cannot read arguments {text[position:]!r}")
        key, value = match.group(1), match.group(2)
        if value is None:
            values = []
        elif value.startswith("("):
            values = [part.strip() for part in value[1:-1].split(",")] if value[1:-1].strip() else []
        else:
            values = [value]
        arguments.append(Argument(key, values))
        position = match.end()
    return arguments


def rewrite(script: Script, outputs: list[str]) -> str:
    """Return the file with `outputs` in place of what its directives expected."""
    lines = list(script.lines)
    for directive, output in reversed(list(zip(script.directives, outputs, strict=True))):
        body = output.removesuffix("\n").split("\n") if output else []
        if any(not line.strip() for line in body):
            body = [SEPARATOR, *body, SEPARATOR, SEPARATOR]
        lines[directive.output_start : directive.output_end] = [SEPARATOR, *body]
    return "\n".join(lines) + "\n"
