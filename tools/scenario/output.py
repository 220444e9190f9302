"""What a scenario prints: the text of commands, and raft's log lines from a level on.

At level NONE nothing is printed at all, not even what commands say.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tools.scenario.script import ScriptError

LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE")


class Output:
    """The output of one command; also the logger of every node."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._level = 0

    def set_level(self, name: str) -> None:
        if name.upper() not in LEVELS:
            raise ScriptError(f"log levels must be either of [{' '.join(LEVELS)}]")
        self._level = LEVELS.index(name.upper())

    def is_quiet(self) -> bool:
        return LEVELS[self._level] == "NONE"

    def write(self, text: str) -> None:
        if not self.is_quiet():
            self._parts.append(text)

    def take(self) -> str:
        text = "".join(self._parts)
        self._parts = []
        return text

    @contextmanager
    def level(self, name: str | None) -> Iterator[None]:
        """Have another level for a while."""
        previous = self._level
        if name is not None:
            self.set_level(name)
        try:
            yield
        finally:
            self._level = previous

    @contextmanager
    def indented(self) -> Iterator[None]:
        """Move what is written meanwhile two columns to the right."""
        outer = self._parts
        self._parts = []
        try:
            yield
        finally:
            text = self.take()
            self._parts = outer
            self.write("".join(f"  {line}\n" for line in text.removesuffix("\n").split("\n") if text))

    def _log(self, level: int, text: str) -> None:
        if level >= self._level:
            self.write(f"{LEVELS[level]} {text}\n")

    def debug(self, text: str, /) -> None:
        self._log(0, text)

    def info(self, text: str, /) -> None:
        self._log(1, text)

    def warning(self, text: str, /) -> None:
        self._log(2, text)

    def error(self, text: str, /) -> None:
        self._log(3, text)
