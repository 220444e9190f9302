"""The write buffer: one table per bucket, key -> value, or None where the key is deleted.

The live buffer takes writes; frozen it is immutable and on its way into LMDB.
"""

from __future__ import annotations

from typing import NoReturn

from etcdpy.base.invariant import StorageError
from etcdpy.storage.schema import buckets

Table = dict[bytes, bytes | None]
Tables = tuple[Table, ...]  # One table per bucket number.


def empty_tables() -> Tables:
    """Return a buffer that holds nothing."""
    return tuple([{} for _ in buckets.ALL])


def items_between(table: Table, start: bytes, end: bytes | None) -> Table:
    """Return what a table says of start <= key < end (None: to the last)."""
    if not table:
        return {}
    if end is None:
        return {key: value for key, value in table.items() if key >= start}
    return {key: value for key, value in table.items() if start <= key < end}


class PoisonedTables:
    """Stands in the place of the buffers after a failure: whoever touches them learns of it, at no cost before."""

    def __init__(self, error: StorageError) -> None:
        self._error = error

    def __getitem__(self, bucket: int) -> NoReturn:
        raise StorageError(f"the backend has failed: {self._error}") from self._error
