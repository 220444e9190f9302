"""What the store gives back for a request: a revision, and the response's bytes without its header.

The header names cluster, member and term, which the state machine does not know: whoever sends the answer prepends it.

A large answer is a list of pieces, values among them as they are stored: joining 8 MiB takes the loop five
milliseconds, most of which the system spends on fresh memory.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")


class Answer:
    """One answer. `content` is the serialized response without field 1; `revision` goes into the header."""

    __slots__ = ("revision", "content")

    def __init__(self, revision: int, content: bytes | list[bytes]) -> None:
        self.revision = revision
        self.content = content

    @property
    def body(self) -> bytes:
        """The content in one piece."""
        return self.content if isinstance(self.content, bytes) else b"".join(self.content)

    @property
    def size(self) -> int:
        """How many bytes the body has."""
        return len(self.content) if isinstance(self.content, bytes) else sum(map(len, self.content))

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
