"""How a program of a foreign client tells what it saw: one line each, which a test compares.

Standard library only: the programs run in environments where nothing of ours is installed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

WAIT_SECONDS = 30.0


def say(label: str, *values: object) -> None:
    print(label, *(repr(value) for value in values), flush=True)


def say_attributes(label: str, thing: Any, names: Sequence[str]) -> None:
    say(label, *(f"{name}={getattr(thing, name)!r}" for name in names))


def say_error(label: str, call: Callable[[], object]) -> None:
    """Tell which error `call` ends with; that it ends well is told, too."""
    try:
        say(label, "went well", call())
    except Exception as error:
        details = getattr(error, "details", None)  # of a gRPC error, whose own text holds how it arrived
        say(label, type(error).__name__, details() if callable(details) else str(error))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {WAIT_SECONDS} s")
        time.sleep(0.05)  # The pause between two looks.
