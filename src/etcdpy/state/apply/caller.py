"""Who asks: the user and the revision of users and roles at which that was found out.

It travels in the header of an entry, so that each member can tell whether permissions have changed since then.
"""

from __future__ import annotations

from typing import Final


class Caller:
    """Treat it as a value. `is_valid` is false of one whose token was none: such a caller is refused wherever asked."""

    __slots__ = ("username", "revision", "is_valid", "encoded")

    def __init__(self, username: bytes, revision: int, *, is_valid: bool = True) -> None:
        self.username = username
        self.revision = revision
        self.is_valid = is_valid
        self.encoded: bytes | None = None  # as it stands in an entry's header; its encoder keeps it here

    def __repr__(self) -> str:
        return f"Caller({self.username!r}, {self.revision}, is_valid={self.is_valid})"


# Without a token, or from before authentication was on.
NOBODY: Final = Caller(b"", 0)
# With a token that is none.
IMPOSTOR: Final = Caller(b"", 0, is_valid=False)
