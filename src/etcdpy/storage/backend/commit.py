"""One frozen buffer on its way into LMDB.

    begin (thread) -> fill, in slices (loop thread) -> commit with fsync (thread) -> done

Why the loop thread fills: py-lmdb takes and drops the GIL for every item, and a thread that must win the GIL back from
a busy loop needs 0.4 ms per item on average (10,000 items: 4.3 s; on the loop: 1.1 ms). The thread keeps what really
blocks, and what LMDB ties to one thread: begin and commit. Figures: docs/decisions/0002-backend-commit.md.

Everything, the consistent index and the term among it, is in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

import lmdb

from etcdpy.base.invariant import StorageError
from etcdpy.storage.backend.buffer import Tables
from etcdpy.storage.backend.generation import Generation
from etcdpy.storage.backend.long_keys import stored_item, stored_key
from etcdpy.storage.backend.worker import Worker
from etcdpy.storage.schema import buckets
from etcdpy.storage.schema.buckets import Bucket

# At most this much is filled per call, so that a turn of the loop stays short: about 60 us.
SLICE_ITEMS: Final = 512
SLICE_BYTES: Final = 256 * 1024

_BEGINNING: Final = 0
_FILLING: Final = 1
_COMMITTING: Final = 2


class _Run:
    """What one bucket still has to take."""

    __slots__ = ("db", "items", "deletes", "is_append")

    def __init__(self, db: Any, items: Iterator[tuple[bytes, bytes]], deletes: list[bytes], is_append: bool) -> None:
        self.db = db
        self.items = items
        self.deletes = deletes
        self.is_append = is_append


class Commit:
    """Writes one buffer into LMDB; `advance` it until it returns True."""

    def __init__(
        self,
        generation: Generation,
        worker: Worker,
        tables: Tables,
        *,
        has_deletes: bool,
        buffer_bytes: int,
        buffer_items: int,
    ) -> None:
        self._generation = generation
        self._worker = worker
        self._tables = tables
        self._has_deletes = has_deletes
        bytes_per_item = buffer_bytes // max(1, buffer_items) + 1
        self._slice_items = max(1, min(SLICE_ITEMS, SLICE_BYTES // bytes_per_item))
        self._stage = _BEGINNING
        self._txn: Any = None
        self._runs: list[_Run] = []
        env = generation.env
        worker.submit(lambda: env.begin(write=True))

    def advance(self) -> bool:
        """Do what can be done without blocking; return whether the commit is on disk. Raise StorageError."""
        if self._stage == _FILLING:
            self._fill_slice()
            return False
        if not self._worker.is_done():
            return False
        result = self._worker.take_result()
        if self._stage == _COMMITTING:
            return True
        self._txn = result
        self._runs = [self._make_run(bucket) for bucket in buckets.ALL if self._tables[bucket]]
        self._stage = _FILLING
        return False

    def needs_thread(self) -> bool:
        """Return whether nothing goes on before the worker is done."""
        return self._stage != _FILLING

    def abandon(self) -> None:
        """Give the write lock back after a failure. Blocks."""
        if self._worker.is_busy:
            self._worker.wait()
            try:
                result = self._worker.take_result()
            except StorageError:
                return
            if self._stage == _COMMITTING:
                return
            self._txn = result
        if self._txn is not None and self._stage != _COMMITTING:
            self._worker.submit(self._txn.abort)
            self._worker.wait()
            self._worker.take_result()

    def _fill_slice(self) -> None:
        runs = self._runs
        if not runs:
            self._stage = _COMMITTING
            self._worker.submit(self._txn.commit)
            return
        try:
            if self._write_slice(runs[0]):
                runs.pop(0)
        except lmdb.Error as error:
            raise StorageError(f"backend: {error}") from error

    def _write_slice(self, run: _Run) -> bool:
        """Write the next items of a bucket; return whether it is complete."""
        size = self._slice_items
        if run.deletes:
            delete = self._txn.delete
            for key in run.deletes[-size:]:
                delete(key, b"", run.db)
            del run.deletes[-size:]
            return False
        items = list(islice(run.items, size))
        with self._txn.cursor(run.db) as cursor:
            if run.is_append:
                _, added = cursor.putmulti(items, append=True)
                if added == len(items):
                    return bool(added < size)
                run.is_append = False  # LMDB left out what does not ascend: put all of it the ordinary way.
            _, added = cursor.putmulti(items)
        if added != len(items):
            raise StorageError(f"backend: LMDB took {added} of {len(items)} items")
        return bool(added < size)

    def _make_run(self, bucket: Bucket) -> _Run:
        table = self._tables[bucket]
        items: Iterable[tuple[bytes, bytes]] = table.items()  # type: ignore[assignment]
        deletes: list[bytes] = []
        if self._has_deletes:
            deletes = [key for key, value in table.items() if value is None]
            items = [(key, value) for key, value in table.items() if value is not None]
        if bucket in buckets.WITH_LONG_KEYS:
            deletes = [stored_key(key) for key in deletes]
            items = [stored_item(key, value) for key, value in items]
        # Revisions only grow: appending skips the search and fills pages to the brim instead of to the half.
        return _Run(self._generation.dbs[bucket], iter(items), deletes, bucket == buckets.KEY)
