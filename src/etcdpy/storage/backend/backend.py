"""The key-value store of a member: LMDB under a write buffer.

    put, delete --> live buffer --freeze--> frozen buffer --commit--> LMDB
    get, scan   <-- live buffer <---------- frozen buffer <---------- one long-lived read transaction

Theory
  * LMDB at its consistent index, plus the WAL after it, is the truth. The effects of entries, their consistent index,
    the term: all in one LMDB transaction, always.
  * A buffer freezes only at a boundary: right after end_entry (or end_batch), when no effect of a half-applied entry is
    in it. Then poll() freezes: every `batch_interval_seconds`, at `batch_limit` operations, or at 16 MiB.
  * One buffer is on its way to disk at a time. Who reads sees the sum: live over frozen over LMDB. The read transaction
    is renewed before the frozen buffer is dropped.
  * Nothing here blocks but open, flush and close. poll() moves the commit, the export and the defragmentation forward.
  * Any failure poisons the backend, also one of the member (`fail`): every later write, read or poll raises
    StorageError, and nothing is committed any more. The member stops, a restart finds the last commit and replays the
    WAL.

One file although it is long: writing, reading, freezing and reaping share the two buffers, and a put must not pay a
call to reach them.

Not thread-safe: one thread, the event loop's, calls everything. It knows no asyncio; `wake` is called on the worker
thread when poll() has something new to do.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, Final, NoReturn

import lmdb

from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.storage.backend.buffer import PoisonedTables, Table, Tables, empty_tables, items_between
from etcdpy.storage.backend.cache import ValueCache
from etcdpy.storage.backend.commit import Commit
from etcdpy.storage.backend.defragment_job import DefragmentJob
from etcdpy.storage.backend.export_job import ExportJob
from etcdpy.storage.backend.generation import MAP_BYTES, Generation, Store
from etcdpy.storage.backend.hashing import HashJob
from etcdpy.storage.backend.install_job import InstallJob
from etcdpy.storage.backend.jobs import Job, Jobs
from etcdpy.storage.backend.reader import Item, Reader, scan_merged
from etcdpy.storage.backend.retirement import Retirement
from etcdpy.storage.backend.worker import Worker
from etcdpy.storage.schema import buckets, meta
from etcdpy.storage.schema.buckets import Bucket

# A buffer of this size freezes at once: it bounds what one commit writes.
FREEZE_BYTES: Final = 16 * 1024 * 1024
# With a commit in flight and this much waiting, apply must pause: it bounds memory.
CONGESTED_BYTES: Final = 64 * 1024 * 1024
# What an item costs beside its value: key, page header, dict entry.
ITEM_BYTES: Final = 64
# What a read of many records copies out of LMDB before others have their turn: about a millisecond.
READ_BYTES_MAX: Final = 512 * 1024
# How often flush looks whether a job has given commits free.
HOLD_POLL_SECONDS: Final = 0.001
# A killed child's reader slot pins pages until somebody checks.
READER_CHECK_SECONDS: Final = 10.0

# Commits come ten times a second: enough for minutes between two scrapes.
COMMIT_DURATIONS_MAX: Final = 4096

assert FREEZE_BYTES < CONGESTED_BYTES

_MISSING: Final[Any] = object()
_EMPTY: Final = empty_tables()


class Backend:
    """The buckets of one member. Make it with `Backend.open`."""

    def __init__(
        self,
        store: Store,
        generation: Generation,
        *,
        batch_interval_seconds: float,
        batch_limit: int,
        map_size: int,
        wake: Callable[[], None] | None,
    ) -> None:
        self._store = store
        self._generation = generation
        self._batch_interval_seconds = batch_interval_seconds
        self._batch_limit = batch_limit
        self._map_size = map_size
        self._live: Any = empty_tables()  # Tables, or PoisonedTables.
        self._frozen: Any = _EMPTY
        self._ops = 0  # Operations in the live buffer.
        self._bytes = 0  # Their size, about.
        self._has_deletes = False  # In the live buffer.
        self._frozen_bytes = 0
        self._boundary_ops = 0  # Invariant: equals _ops exactly when no entry is half applied.
        self._commit: Commit | None = None
        self._commit_began = 0.0
        # Seconds from freezing to durable, for metrics; bounded, if nobody asks the oldest go.
        self._commit_durations: deque[float] = deque(maxlen=COMMIT_DURATIONS_MAX)
        self._jobs = Jobs()
        self._cache = ValueCache()
        self._retirement = Retirement(store)
        self._is_commit_asked = False
        # Set by whoever applies an entry before the log holds it durably: no commit begins with it.
        self.log_is_behind = False
        self._dirty_since: float | None = None
        self._next_reader_check = 0.0
        self._error: StorageError | None = None
        self._is_closed = False
        self._index = self._term = 0
        self._frozen_index = self._committed_index = 0
        self._renew_reader()
        self._read_indexes()
        self._worker = Worker(wake)

    @classmethod
    def open(
        cls,
        directory: Path | str | os.PathLike[str],
        *,
        batch_interval_seconds: float = 0.1,
        batch_limit: int = 10_000,
        map_size: int = MAP_BYTES,
        wake: Callable[[], None] | None = None,
    ) -> Backend:
        """Open the store in `directory`/store (a member's folder); make an empty one where there is none."""
        store = Store(Path(directory) / "store")
        generation: Generation | None = None
        try:
            path = store.find_current()
            is_new = path is None
            generation = Generation(path or store.begin_generation(), map_size=map_size)
            if is_new:
                store.finish_generation(generation.path, origin="new")
            return cls(
                store,
                generation,
                batch_interval_seconds=batch_interval_seconds,
                batch_limit=batch_limit,
                map_size=map_size,
                wake=wake,
            )
        except BaseException as error:
            if generation is not None:
                generation.close()
            store.close()
            if isinstance(error, (lmdb.Error, OSError)):
                raise StorageError(f"cannot open the store {store.directory}: {error}") from error
            raise

    # -- writing

    def put(self, bucket: Bucket, key: bytes, value: bytes) -> None:
        """Set a key, in the live buffer."""
        self._live[bucket][key] = value
        self._ops += 1
        self._bytes += len(value) + ITEM_BYTES

    def delete(self, bucket: Bucket, key: bytes) -> None:
        """Remove a key; nothing happens where it is not there."""
        self._live[bucket][key] = None
        self._has_deletes = True
        self._ops += 1
        self._bytes += ITEM_BYTES

    def end_entry(self, index: int, term: int) -> None:
        """All effects of the entry at `index` are in the buffer: move the consistent index with them."""
        if index < self._index:
            raise InvariantError(f"consistent index would go back from {self._index} to {index}")
        self._index = index
        self._term = term
        self._boundary_ops = self._ops
        if self._ops >= self._batch_limit or self._bytes >= FREEZE_BYTES:
            self._maybe_freeze()

    def end_batch(self) -> None:
        """Writes outside of entries (a compaction's slice, bootstrap) are complete. Never inside an entry."""
        self._boundary_ops = self._ops

    # -- reading

    def get(self, bucket: Bucket, key: bytes) -> bytes | None:
        """Return the value of a key."""
        value = self._live[bucket].get(key, _MISSING)
        if value is _MISSING:
            value = self._frozen[bucket].get(key, _MISSING)
            if value is _MISSING:
                try:
                    return self._reader.get(bucket, key)
                except lmdb.Error as error:
                    self._poison(error)
        return value  # type: ignore[no-any-return]

    def get_records(self, records: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of the first of `records` of the bucket `key`, one at least: until READ_BYTES_MAX are read.

        What was read lately comes from memory, and does not count.
        """
        return self._cache.get_many(records, self._fetch_records)

    def _fetch_records(self, records: Sequence[bytes]) -> list[bytes | None]:
        live: Table = self._live[buckets.KEY]
        frozen: Table = self._frozen[buckets.KEY]
        get, db = self._reader.get_stored, self._reader.dbs[buckets.KEY]
        values: list[bytes | None] = []
        size = 0
        try:
            for record in records:
                value: bytes | None
                if record in live:
                    value = live[record]
                elif record in frozen:
                    value = frozen[record]
                else:
                    value = get(record, None, db)
                values.append(value)
                if value is not None:
                    size += len(value)
                    if size >= READ_BYTES_MAX:
                        break
        except lmdb.Error as error:
            self._poison(error)
        return values

    def get_many(self, bucket: Bucket, keys: Iterable[bytes]) -> list[bytes | None]:
        """Return the values of many keys, in their order."""
        live: Table = self._live[bucket]
        frozen: Table = self._frozen[bucket]
        if bucket in buckets.WITH_LONG_KEYS:
            return [self.get(bucket, key) for key in keys]
        get, db = self._reader.get_stored, self._reader.dbs[bucket]
        try:
            if not live and not frozen:
                return list(map(get, keys, repeat(None), repeat(db)))
            return [live[key] if key in live else frozen[key] if key in frozen else get(key, None, db) for key in keys]
        except lmdb.Error as error:
            self._poison(error)

    def scan(
        self, bucket: Bucket, start: bytes, end: bytes | None, limit: int = 0, reverse: bool = False
    ) -> list[Item]:
        """Return the items with start <= key < end (None: to the last), sorted, `limit` at most (0: all)."""
        overlay = items_between(self._frozen[bucket], start, end)
        overlay.update(items_between(self._live[bucket], start, end))
        try:
            return scan_merged(self._reader, overlay, bucket, start, end, limit, reverse)
        except (lmdb.Error, StorageError) as error:
            self._poison(error)

    @property
    def consistent_index(self) -> int:
        """Index of the last entry that was ended; its effects are readable, not necessarily on disk."""
        return self._index

    @property
    def term(self) -> int:
        """Term of that entry."""
        return self._term

    @property
    def committed_index(self) -> int:
        """The consistent index on disk."""
        return self._committed_index

    # -- committing

    def poll(self, now: float) -> None:
        """Move on what can be moved without blocking. Call it every turn; `now` is a monotonic clock."""
        if self._error is not None:
            raise StorageError(f"the backend has failed: {self._error}") from self._error
        try:
            if self._commit is not None:
                if self._commit.advance():
                    self._reap()
            elif self._is_commit_due(now):
                self._maybe_freeze()
            if self._jobs:
                self._step_jobs(now)
            if now >= self._next_reader_check:
                self._next_reader_check = now + READER_CHECK_SECONDS
                self._generation.env.reader_check()
                self._retirement.sweep()
        except (lmdb.Error, StorageError) as error:
            self._poison(error)

    def commit_soon(self) -> None:
        """Have the next poll freeze what is there, without waiting for the interval. Watch `committed_index`."""
        self._is_commit_asked = True

    def is_congested(self) -> bool:
        """Return whether apply must pause: the disk is behind."""
        return self._bytes >= CONGESTED_BYTES and (self._commit is not None or self._jobs.holder is not None)

    def has_work(self) -> bool:
        """Return whether poll() wants to be called again at once, not only by the next tick."""
        if self._commit is not None and (not self._commit.needs_thread() or self._worker.is_done()):
            return True
        return self._jobs.need_poll()

    def fail(self, error: BaseException) -> None:
        """The member cannot go on: commit nothing any more.

        An entry may be half applied, and only the log can tell the whole of it: a restart applies it anew.
        """
        if self._error is None:
            self._set_failed(StorageError(f"the member has failed: {error}"))

    def flush(self) -> None:
        """Commit everything, blocking. At a boundary only."""
        if self._boundary_ops != self._ops:
            raise InvariantError("flush inside of an entry")
        while True:
            if self._error is not None:
                raise StorageError(f"the backend has failed: {self._error}") from self._error
            if self.log_is_behind:
                raise InvariantError("flush of what the log does not hold yet")
            try:
                self._finish_commit()
                self._wait_for_holder()
                if not self._maybe_freeze():
                    return
            except (lmdb.Error, StorageError) as error:
                self._poison(error)

    def close(self) -> None:
        """Commit what is complete, unless the backend has failed, and let go of everything."""
        if self._is_closed:
            return
        self._is_closed = True
        self._jobs.cancel()
        try:
            if self._error is None and self._boundary_ops == self._ops:
                self.flush()
        finally:
            self._let_go()

    # -- works on the side

    def start_export(
        self, path: Path | str | os.PathLike[str], on_decided: Callable[[], None] | None = None
    ) -> ExportJob:
        """Begin to write the store as a bbolt file at `path`; poll() moves it on. The job's poll() tells the end.

        `on_decided` is called in the moment in which it is decided what the file will hold: everything up to now.
        """
        job = ExportJob(self, Path(path), on_decided)
        self._jobs.add(job)
        return job

    def start_defragment(self) -> DefragmentJob:
        """Begin to replace the store by a compact copy of it; poll() moves it on, the job's poll() tells the end."""
        job = DefragmentJob(self, self._store, self._worker, map_size=self._map_size)
        self._jobs.add(job)
        return job

    def start_install(self, build: Callable[[Store], Path], read: Callable[[Reader], Any]) -> InstallJob:
        """Begin to put another content in the place of this one.

        On a thread, `build` makes its generation, and `read` takes from it what the job then has as `content`.
        """
        job = InstallJob(self, self._store, self._worker, build, read, map_size=self._map_size)
        self._jobs.add(job)
        return job

    def start_hash(self) -> HashJob:
        """Begin to hash what is readable now; the caller steps it. At a boundary only."""
        if self._boundary_ops != self._ops:
            raise InvariantError("hash inside of an entry")
        overlays = [{**self._frozen[bucket], **self._live[bucket]} for bucket in buckets.ALL]
        return HashJob(Reader(self._generation), overlays, consistent_index=self._index)

    def hash(self) -> int:
        """Return the hash of everything, blocking."""
        job = self.start_hash()
        while not job.step():
            pass
        return job.crc

    # -- for jobs (jobs.Host)

    @property
    def generation(self) -> Generation:
        """The generation in use."""
        return self._generation

    def hold_commits(self, job: Job) -> bool:
        """Keep new commits from starting; return False while another job does."""
        return self._jobs.hold(job)

    def may_hold(self, job: Job) -> bool:
        """Return whether `hold_commits` would succeed now."""
        return self._jobs.may_hold(job)

    def commit_held(self, job: Job) -> bool:
        """Start the commit of all there is, for the job that holds; return False while that is not possible."""
        if self._jobs.holder is not job:
            raise InvariantError("a job that does not hold commits asked for one")
        if self._commit is not None or self._boundary_ops != self._ops:
            return False
        self._freeze()
        return True

    def is_committing(self) -> bool:
        """Return whether a commit is in flight."""
        return self._commit is not None

    def release_commits(self, job: Job) -> None:
        """Let commits go on."""
        self._jobs.release(job)

    def adopt_generation(self, generation: Generation) -> None:
        """Go on with a generation of the same content; the old one is removed when nobody reads it."""
        if self._commit is not None:
            raise InvariantError("a generation was swapped under a commit")
        old, old_reader = self._generation, self._reader
        self._generation = generation
        self._renew_reader()
        old_reader.close()
        self._retirement.add(old)

    def replace_generation(self, generation: Generation) -> None:
        """Go on with a generation of other content: that of a received snapshot. What is buffered is dropped."""
        self._cache.clear()
        self._live = empty_tables()
        self._frozen = _EMPTY
        self._ops = self._boundary_ops = self._bytes = self._frozen_bytes = 0
        self._has_deletes = False
        self._dirty_since = None
        self._is_commit_asked = False
        self.adopt_generation(generation)
        self._read_indexes()

    def take_commit_durations(self) -> list[float]:
        """Return how long each commit since the last call took, in seconds."""
        durations = list(self._commit_durations)
        self._commit_durations.clear()
        return durations

    # -- sizes

    def size_bytes(self) -> int:
        """Return the size of the database with its free pages, and of what waits: etcd's dbSize."""
        return self._file_bytes + self._bytes + self._frozen_bytes

    def size_in_use_bytes(self) -> int:
        """Return the size without free pages: etcd's dbSizeInUse."""
        return self._used_bytes + self._bytes + self._frozen_bytes

    # -- inner works

    def _is_commit_due(self, now: float) -> bool:
        if not self._ops and self._index == self._frozen_index:
            return False
        if self._dirty_since is None:
            self._dirty_since = now
        return (
            now - self._dirty_since >= self._batch_interval_seconds
            or self._ops >= self._batch_limit
            or self._bytes >= FREEZE_BYTES
            or self._is_commit_asked
        )

    def _maybe_freeze(self) -> bool:
        """Start a commit of the live buffer, if it is dirty, at a boundary, and nothing stands in the way."""
        if self._commit is not None or self._jobs.holder is not None or self._boundary_ops != self._ops:
            return False
        if self.log_is_behind:
            return False
        return self._freeze()

    def _freeze(self) -> bool:
        if not self._ops and self._index == self._frozen_index:
            return False
        tables: Tables = self._live
        if self._index != self._frozen_index:
            tables[buckets.META][meta.CONSISTENT_INDEX] = meta.encode_u64(self._index)
            tables[buckets.META][meta.TERM] = meta.encode_u64(self._term)
        self._commit_began = time.perf_counter()
        self._commit = Commit(
            self._generation,
            self._worker,
            tables,
            has_deletes=self._has_deletes,
            buffer_bytes=self._bytes,
            buffer_items=self._ops,
        )
        self._frozen = tables
        self._frozen_bytes = self._bytes
        self._frozen_index = self._index
        self._live = empty_tables()
        self._ops = self._boundary_ops = self._bytes = 0
        self._has_deletes = False
        self._dirty_since = None
        self._is_commit_asked = False
        return True

    def _finish_commit(self) -> None:
        """Bring the commit in flight to disk, blocking."""
        commit = self._commit
        while commit is not None:
            if commit.needs_thread():
                self._worker.wait()
            if commit.advance():
                self._reap()
                return

    def _reap(self) -> None:
        """The frozen buffer is on disk: read it from there from now on."""
        old_reader = self._reader
        self._renew_reader()
        old_reader.close()
        self._commit = None
        self._frozen = _EMPTY
        self._frozen_bytes = 0
        self._committed_index = self._frozen_index
        self._commit_durations.append(time.perf_counter() - self._commit_began)

    def _read_indexes(self) -> None:
        self._index = meta.decode_u64(self._reader.get(buckets.META, meta.CONSISTENT_INDEX))
        self._term = meta.decode_u64(self._reader.get(buckets.META, meta.TERM))
        self._frozen_index = self._committed_index = self._index

    def _renew_reader(self) -> None:
        self._reader = Reader(self._generation)
        page_bytes = self._generation.env.stat()["psize"]
        self._file_bytes = (self._generation.env.info()["last_pgno"] + 1) * page_bytes
        self._used_bytes = min(self._file_bytes, self._reader.pages_in_use() * page_bytes)

    def _poison(self, error: Exception) -> NoReturn:
        failure = error if isinstance(error, StorageError) else StorageError(f"backend: {error}")
        self._set_failed(failure)
        raise failure from error

    def _set_failed(self, failure: StorageError) -> None:
        self._error = failure
        self._live = self._frozen = PoisonedTables(failure)

    def _step_jobs(self, now: float) -> None:
        if self._jobs.step(now):
            self._generation.env.reader_check()  # A child that was killed leaves its slot behind.

    def _wait_for_holder(self) -> None:
        """Block until no job holds commits back."""
        while self._jobs.holder is not None:
            self._step_jobs(time.monotonic())
            self._finish_commit()
            if self._jobs.holder is not None:
                time.sleep(HOLD_POLL_SECONDS)

    def _let_go(self) -> None:
        if self._commit is not None:
            self._commit.abandon()
        self._worker.close()
        self._reader.close()
        self._generation.close()
        self._retirement.close()
        self._store.close()
