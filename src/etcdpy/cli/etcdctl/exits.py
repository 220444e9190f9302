"""Exit codes of etcdctl, and the exception that carries one to `main`.

Source: facts 3.1. Scripts test these numbers.
"""

from __future__ import annotations

from typing import Final

OK: Final = 0
ERROR: Final = 1
BAD_CONNECTION: Final = 2
INVALID_INPUT: Final = 3
BAD_FEATURE: Final = 4
INTERRUPTED: Final = 5
IO: Final = 6
BAD_ARGS: Final = 128


class Exit(Exception):
    """End the program with `code`; a text is printed as `Error: text`, without one nothing more is printed."""

    def __init__(self, code: int, text: str | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
