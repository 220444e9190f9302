"""The store of a simulated member: a database that survives crashes up to its last commit, and the backend over it.

    put, delete --> Database.tables, with a journal of what stood there before
    freeze          a mark in the journal, at an entry boundary; the commit is on its way
    commit          the journal up to the mark is forgotten: durable from now on
    crash           the journal is played backwards: everything since the last commit is gone, consistent index and all

It stands in for storage.backend.Backend, which a run of seconds would open hundreds of times. Other than LMDB it never
fails, knows no sizes, commits after a virtual delay instead of on a thread, and leaves no torn pages for LMDB to heal:
a crash during a commit leaves the old state or the new one, as LMDB promises. A property test in tests/unit/sim
compares the two, crashes included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sortedcontainers import SortedDict

from etcdpy.base.invariant import InvariantError
from etcdpy.storage.schema import buckets, meta
from etcdpy.storage.schema.buckets import Bucket

Item = tuple[bytes, bytes]
Tables = list[Any]  # a SortedDict of bytes to bytes for each bucket

_ABSENT: Final[Any] = object()


class Database:
    """What is on disk, and how to get back to it."""

    def __init__(self, tables: Tables | None = None) -> None:
        self.tables: Tables = tables or [SortedDict() for _ in buckets.ALL]
        self._journal: list[tuple[Bucket, bytes, Any]] = []  # (bucket, key, what stood there), oldest first

    def set(self, bucket: Bucket, key: bytes, value: bytes) -> None:
        table = self.tables[bucket]
        self._journal.append((bucket, key, table.get(key, _ABSENT)))
        table[key] = value

    def remove(self, bucket: Bucket, key: bytes) -> None:
        self._journal.append((bucket, key, self.tables[bucket].pop(key, _ABSENT)))

    @property
    def mark(self) -> int:
        return len(self._journal)

    def commit(self, mark: int) -> None:
        """Make everything before `mark` durable; later marks move down by as much."""
        del self._journal[:mark]

    def roll_back(self) -> None:
        """Lose everything that is not durable."""
        for bucket, key, value in reversed(self._journal):
            if value is _ABSENT:
                self.tables[bucket].pop(key, None)
            else:
                self.tables[bucket][key] = value
        self._journal.clear()

    def copy_tables(self) -> Tables:
        """Return a copy of what is readable now, for another member."""
        return [table.copy() for table in self.tables]


class VirtualBackend:
    """What the state machine, the loop and the snapshots use of `storage.backend.Backend`."""

    def __init__(self, database: Database, *, interval_seconds: float, commit_seconds: float) -> None:
        self._interval_seconds = interval_seconds
        self._commit_seconds = commit_seconds
        self._error: BaseException | None = None
        self.log_is_behind = False  # it polls at the end of a turn only, when the log is not
        self.adopt(database)

    def adopt(self, database: Database) -> None:
        """Go on with another database: the one at a start, or a received one."""
        self.database = database
        self._index = meta.decode_u64(self.get(buckets.META, meta.CONSISTENT_INDEX))
        self._term = meta.decode_u64(self.get(buckets.META, meta.TERM))
        self._committed_index = self._index
        self._boundary = database.mark  # Invariant: the mark at which no entry was half applied.
        self._dirty_since: float | None = None
        self._is_commit_asked = False
        self._freeze: tuple[int, int, float] | None = None  # mark, consistent index, when it will be durable

    # -- writing

    def put(self, bucket: Bucket, key: bytes, value: bytes) -> None:
        self.database.set(bucket, key, value)

    def delete(self, bucket: Bucket, key: bytes) -> None:
        self.database.remove(bucket, key)

    def end_entry(self, index: int, term: int) -> None:
        if index < self._index:
            raise InvariantError(f"consistent index would go back from {self._index} to {index}")
        self._index = index
        self._term = term
        # In the journal like everything else: effects and index come and go together.
        self.database.set(buckets.META, meta.CONSISTENT_INDEX, meta.encode_u64(index))
        self.database.set(buckets.META, meta.TERM, meta.encode_u64(term))
        self._boundary = self.database.mark

    def end_batch(self) -> None:
        self._boundary = self.database.mark

    # -- reading

    def get(self, bucket: Bucket, key: bytes) -> bytes | None:
        value: bytes | None = self.database.tables[bucket].get(key)
        return value

    def get_records(self, records: Sequence[bytes]) -> list[bytes | None]:
        return self.get_many(buckets.KEY, records)

    def get_many(self, bucket: Bucket, keys: Iterable[bytes]) -> list[bytes | None]:
        table = self.database.tables[bucket]
        return [table.get(key) for key in keys]

    def scan(
        self, bucket: Bucket, start: bytes, end: bytes | None, limit: int = 0, reverse: bool = False
    ) -> list[Item]:
        table = self.database.tables[bucket]
        found: list[Item] = []
        for key in table.irange(start, end, inclusive=(True, False), reverse=reverse):
            found.append((key, table[key]))
            if len(found) == limit:
                break
        return found

    @property
    def consistent_index(self) -> int:
        return self._index

    @property
    def term(self) -> int:
        return self._term

    @property
    def committed_index(self) -> int:
        return self._committed_index

    def size_bytes(self) -> int:
        return 0

    # -- committing

    def poll(self, now: float) -> None:
        """Finish the commit that is due, or begin one."""
        if self._error is not None:
            raise self._error
        if self._freeze is not None:
            if now >= self._freeze[2]:
                self.finish_commit()
        elif self._boundary == self.database.mark and self._is_due(now):
            self._freeze = (self.database.mark, self._index, now + self._commit_seconds)
            self._dirty_since = None
            self._is_commit_asked = False

    def _is_due(self, now: float) -> bool:
        if not self.database.mark:
            return False
        if self._dirty_since is None:
            self._dirty_since = now
        return self._is_commit_asked or now - self._dirty_since >= self._interval_seconds

    @property
    def is_committing(self) -> bool:
        return self._freeze is not None

    def finish_commit(self) -> None:
        """The commit in flight is on disk."""
        assert self._freeze is not None
        mark, self._committed_index, _ = self._freeze
        self._freeze = None
        self.database.commit(mark)
        self._boundary -= mark

    def commit_soon(self) -> None:
        self._is_commit_asked = True

    def is_congested(self) -> bool:
        return False

    def has_work(self) -> bool:
        return False

    def fail(self, error: BaseException) -> None:
        self._error = error
