"""What the store gives back for a request: a revision, and the response's bytes without its header.

The header names cluster, member and term, which the state machine does not know: whoever sends the answer prepends it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")


class Answer:
    """One answer. `body` is the serialized response without field 1; `revision` goes into the header."""

    __slots__ = ("revision", "body")

    def __init__(self, revision: int, body: bytes) -> None:
        self.revision = revision
        self.body = body

    def __repr__(self) -> str:
        return f"Answer(revision={self.revision}, body={self.body!r})"


def run_steps(steps: Generator[None, None, Result]) -> Result:
    """Run a sliced job to its end at once, and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
