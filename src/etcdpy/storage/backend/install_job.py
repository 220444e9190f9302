"""Another content in the place of the store's: that of a snapshot which a leader sent.

    waiting -> building, reading (worker thread) -> built ... switch() ... pointing (worker thread) -> swapped -> done

Building takes long and changes nothing. What the caller wants to know of the new content (an index of a million keys,
say) is read on the thread, too: the loop goes on. The pointer moves only when the caller says so, for the log must know
of the snapshot first: a store ahead of its log is another log's. Until then commits are held back; what is in the write
buffer when the swap comes is dropped, since the snapshot holds it, or stands against it.

A crash before the pointer moved leaves the old content, older than the log's snapshot; the next start builds again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.storage.backend.generation import Generation, Store
from etcdpy.storage.backend.jobs import Host, JobError
from etcdpy.storage.backend.reader import Reader
from etcdpy.storage.backend.worker import Worker

_WAITING: Final = 0
_BUILDING: Final = 1
_BUILT: Final = 2
_POINTING: Final = 3
_OVER: Final = 4


class InstallHost(Host, Protocol):
    """What this job needs of the backend besides."""

    def replace_generation(self, generation: Generation) -> None:
        """Read from and write to a generation with other content; drop what is buffered."""


class InstallJob:
    """One installation; made by Backend.start_install, moved on by Backend.poll."""

    def __init__(
        self,
        host: InstallHost,
        store: Store,
        worker: Worker,
        build: Callable[[Store], Path],
        read: Callable[[Reader], Any],
        *,
        map_size: int,
    ) -> None:
        self.content: Any = None  # what `read` returned, once it is built
        self._host = host
        self._store = store
        self._worker = worker
        self._build = build
        self._read = read
        self._map_size = map_size
        self._stage = _WAITING
        self._may_switch = False
        self._error: JobError | None = None
        self._new: Generation | None = None

    def is_built(self) -> bool:
        """Return whether the new content is ready, on disk beside the old. Raise JobError if it never will be."""
        self._check()
        return self._stage >= _BUILT

    def switch(self) -> None:
        """Let the new content count. Only when it is built."""
        if self._stage != _BUILT:
            raise InvariantError(f"a generation is switched to at stage {self._stage} of its installation")
        self._may_switch = True

    def poll(self) -> bool:
        """Return whether the new content is in use. Raise JobError if it never will be."""
        self._check()
        return self._stage == _OVER

    def step(self, now: float) -> None:
        """Go on as far as possible without blocking."""
        if self._stage == _WAITING:
            if self._host.hold_commits(self) and not self._host.is_committing():
                self._worker.submit(self._make)
                self._stage = _BUILDING
        elif self._stage == _BUILDING:
            if self._worker.is_done():
                self._finish_building()
        elif self._stage == _BUILT:
            if self._may_switch:
                new = self._new
                assert new is not None
                self._worker.submit(lambda: self._store.finish_generation(new.path, origin="snapshot"))
                self._stage = _POINTING
        elif self._stage == _POINTING and self._worker.is_done():
            self._finish_pointing()

    def is_over(self) -> bool:
        """Return whether it has ended, well or not."""
        return self._stage == _OVER

    def needs_poll(self) -> bool:
        """Return whether the next step does not wait for the thread."""
        if self._stage == _WAITING:
            return not self._host.is_committing() and self._host.may_hold(self)
        if self._stage == _BUILT:
            return self._may_switch
        return self._worker.is_done()

    def cancel(self) -> None:
        """Wait for the thread, then leave things as they are: what is half made is removed at the next open."""
        if self._stage in (_BUILDING, _POINTING):
            self._worker.wait()
            try:
                result = self._worker.take_result()
            except StorageError:
                result = None
            if self._stage == _BUILDING and result is not None:
                self._new = result[0]
        if self._new is not None and self._stage != _OVER:
            self._new.close()
        self._end("installation: cancelled")

    def _make(self) -> tuple[Generation, Any]:
        generation = Generation(self._build(self._store), map_size=self._map_size)
        try:
            reader = Reader(generation)
            try:
                return generation, self._read(reader)
            finally:
                reader.close()
        except BaseException:
            generation.close()
            raise

    def _finish_building(self) -> None:
        try:
            self._new, self.content = self._worker.take_result()
        except StorageError as error:
            self._end(f"installation: {error}")
            return
        self._stage = _BUILT

    def _finish_pointing(self) -> None:
        assert self._new is not None
        try:
            self._worker.take_result()
        except StorageError as error:
            # It is open now which generation counts: this poisons the backend.
            self._new.close()
            self._end(f"installation: {error}")
            raise
        self._host.replace_generation(self._new)
        self._end(None)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _end(self, failure: str | None) -> None:
        if self._stage == _OVER:
            return
        self._stage = _OVER
        if failure is not None:
            self._error = JobError(failure)
        self._host.release_commits(self)
