"""Defragmentation without a stop of service: a compact copy becomes the next generation.

    waiting -> committing -> copying (worker thread) -> moving the pointer (worker thread) -> swapped -> done

While copying, writes go into the live buffer and reads to the old generation; both hold the same committed content when
the pointer moves, so a crash at any moment leaves the one or the other, each complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import lmdb

from etcdpy.base.invariant import StorageError
from etcdpy.storage.backend.generation import Generation, Store
from etcdpy.storage.backend.jobs import Host, JobError
from etcdpy.storage.backend.worker import Worker

_WAITING: Final = 0
_COMMITTING: Final = 1
_COPYING: Final = 2
_POINTING: Final = 3
_OVER: Final = 4


class DefragmentHost(Host, Protocol):
    """What this job needs of the backend besides."""

    def adopt_generation(self, generation: Generation) -> None:
        """Read from and write to another generation with the same content; retire the current one."""


class DefragmentJob:
    """One defragmentation; made by Backend.start_defragment, moved on by Backend.poll."""

    def __init__(self, host: DefragmentHost, store: Store, worker: Worker, *, map_size: int) -> None:
        self._host = host
        self._store = store
        self._worker = worker
        self._map_size = map_size
        self._stage = _WAITING
        self._error: JobError | None = None
        self._new: Generation | None = None

    def poll(self) -> bool:
        """Return whether the new generation is in use. Raise JobError if it never will be."""
        if self._error is not None:
            raise self._error
        return self._stage == _OVER

    def step(self, now: float) -> None:
        """Go on as far as possible without blocking."""
        if self._stage == _WAITING:
            if self._host.hold_commits(self) and self._host.commit_held(self):
                self._stage = _COMMITTING
        elif self._stage == _COMMITTING:
            if not self._host.is_committing():
                self._worker.submit(_copy_of(self._store, self._host.generation, self._map_size))
                self._stage = _COPYING
        elif self._worker.is_done():
            self._on_worker_done()

    def is_over(self) -> bool:
        """Return whether it has ended, well or not."""
        return self._stage == _OVER

    def needs_poll(self) -> bool:
        """Return whether the next step does not wait for the thread."""
        if self._stage == _WAITING:
            return not self._host.is_committing() and self._host.may_hold(self)
        if self._stage == _COMMITTING:
            return not self._host.is_committing()
        return self._worker.is_done()

    def cancel(self) -> None:
        """Wait for the thread, then leave things as they are: a half-made generation is removed at the next open."""
        if self._stage in (_COPYING, _POINTING):
            self._worker.wait()
            try:
                result = self._worker.take_result()
            except StorageError:
                result = None
            new = self._new or result
            if new is not None:
                new.close()
        self._end("defragmentation: cancelled")

    def _on_worker_done(self) -> None:
        if self._stage == _COPYING:
            try:
                self._new = self._worker.take_result()
            except StorageError as error:
                self._end(f"defragmentation: {error}")
                return
            new = self._new
            assert new is not None
            self._worker.submit(lambda: self._store.finish_generation(new.path, origin="defragmentation"))
            self._stage = _POINTING
            return
        assert self._new is not None
        try:
            self._worker.take_result()
        except StorageError as error:
            # It is open now which generation counts: this is no failure of the job, it poisons the backend.
            self._new.close()
            self._end(f"defragmentation: {error}")
            raise
        self._host.adopt_generation(self._new)
        self._end(None)

    def _end(self, failure: str | None) -> None:
        if self._stage == _OVER:
            return
        self._stage = _OVER
        if failure is not None:
            self._error = JobError(failure)
        self._host.release_commits(self)


def _copy_of(store: Store, old: Generation, map_size: int) -> Callable[[], Generation]:
    """Return the task that copies `old` into a new, opened generation."""

    def copy() -> Generation:
        path = store.begin_generation()
        try:
            old.env.copy(str(path), compact=True)
            return Generation(path, map_size=map_size)
        except (lmdb.Error, OSError, StorageError):
            store.remove(path)
            raise

    return copy
