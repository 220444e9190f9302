"""Our own bugs and a lying disk: what stops the member instead of letting it continue on a guess."""

from __future__ import annotations


class InvariantError(AssertionError):
    """The program is wrong or the disk lies. Nobody catches this below the process boundary.

    The text carries both numbers: what was expected and what was found.
    """


class StorageError(Exception):
    """The disk refused or holds what we must not accept: the member stops, a restart may recover.

    Raised by every write, sync or open of WAL, snapshots and backend. Never swallowed, never retried in place: after a
    failed fsync the page cache may already have dropped the data (fsyncgate).
    """
