"""The one thread of a backend: it does what blocks on the disk, one task at a time.

LMDB's write lock belongs to the thread that began the transaction, so begin and commit must run here, both. Between
them the loop thread fills the transaction while this thread waits: never both at once.

  * submit() only when idle; the caller polls `is_done` and takes the result or the error with `take_result`.
  * A failure of the task (LMDB's or the system's) comes out of take_result as StorageError.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import lmdb

from etcdpy.base.invariant import InvariantError, StorageError

Task = Callable[[], Any]


class Worker:
    """A thread that runs one submitted task at a time."""

    def __init__(self, wake: Callable[[], None] | None = None) -> None:
        self._wake = wake  # Called on the thread after each task: tells an event loop to poll.
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._done = threading.Event()
        self._is_busy = False  # Invariant: True from submit to take_result.
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="etcdpy-backend", daemon=True)
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether a task was submitted whose result nobody took yet."""
        return self._is_busy

    def is_done(self) -> bool:
        """Return whether the submitted task has ended and its result waits."""
        return self._done.is_set()

    def submit(self, task: Task) -> None:
        """Run `task` on the thread."""
        if self._is_busy:
            raise InvariantError("the backend's thread was given a second task")
        self._is_busy = True
        self._tasks.put(task)

    def wait(self) -> None:
        """Block until the submitted task has ended."""
        self._done.wait()

    def take_result(self) -> Any:
        """Return what the task returned; raise StorageError if it failed."""
        if not self._done.is_set():
            raise InvariantError("the backend's thread has not finished")
        self._done.clear()
        self._is_busy = False
        result, error = self._result, self._error
        self._result = self._error = None
        if error is None:
            return result
        if isinstance(error, (lmdb.Error, OSError)):
            raise StorageError(f"backend: {error}") from error
        raise error

    def close(self) -> None:
        """End the thread after the task in progress."""
        self._tasks.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                self._result = task()
            except BaseException as error:  # noqa: BLE001 - handed to the loop thread, which raises it
                self._error = error
            del task
            self._done.set()
            if self._wake is not None:
                try:
                    self._wake()
                except RuntimeError:
                    pass  # The event loop is closed already; whoever closes us waits for `_done`.
