"""The disk thread: the one place where a member waits for a disk without making the loop wait.

Jobs run one after the other, in the order given; the outcome of each comes back on the loop. A job is plain blocking
code (write, fdatasync, rename) that leaves the interpreter lock while it waits.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]
Done = Callable[[BaseException | None], None]


class DiskThread:
    """One thread, one queue. `is_idle` is true when no job is queued, running or on its way back."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: queue.SimpleQueue[tuple[Job, Done] | None] = queue.SimpleQueue()
        self._outstanding = 0  # Invariant: >= 0; touched on the loop only.
        self._runner = threading.Thread(target=self._run, name="etcd-disk", daemon=True)
        self._runner.start()

    @property
    def is_idle(self) -> bool:
        return self._outstanding == 0

    def submit(self, job: Job, done: Done) -> None:
        """Run `job` on the thread, then `done(error or None)` on the loop."""
        self._outstanding += 1
        self._jobs.put((job, done))

    async def run(self, job: Job) -> None:
        """Run `job` on the thread and wait for it; its exception is raised here."""
        finished: asyncio.Future[None] = self._loop.create_future()

        def done(error: BaseException | None) -> None:
            if finished.cancelled():
                return
            if error is None:
                finished.set_result(None)
            else:
                finished.set_exception(error)

        self.submit(job, done)
        await finished

    def close(self) -> None:
        """Let the thread finish what is queued, and wait for it."""
        self._jobs.put(None)
        self._runner.join()

    def _run(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, done = item
            error: BaseException | None = None
            try:
                job()
            except BaseException as caught:  # handed to the loop, which decides: nothing is swallowed here
                error = caught
            try:
                self._loop.call_soon_threadsafe(self._finish, done, error)
            except RuntimeError:  # the loop closed while we worked: nobody is left to tell
                return

    def _finish(self, done: Done, error: BaseException | None) -> None:
        self._outstanding -= 1
        done(error)
