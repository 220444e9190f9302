"""Owner of the tasks that wait for network and disk: none is lost, outlives its owner, or fails in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

ResultT = TypeVar("ResultT")


class Tasks:
    """Tasks run until they are done or the owner cancels them; what one of them raises goes to `on_failure`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_failure: Callable[[BaseException], None]) -> None:
        self._loop = loop
        self._on_failure = on_failure
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._finished)
        return task

    async def close(self) -> None:
        """Cancel what still runs and wait for it."""
        while self._running:
            running = list(self._running)
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            # The callbacks of the done ones come in the next turn.
            await asyncio.sleep(0)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)


async def run_on_thread(job: Callable[[], ResultT]) -> ResultT:
    """Run blocking work on a thread. Cancelled, it is waited for all the same: its file may be closed only after it."""
    running = asyncio.get_running_loop().run_in_executor(None, job)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            try:
                await asyncio.wait((running,))
            except asyncio.CancelledError:
                # Whoever cancels again waits as well.
                continue
        if not running.cancelled():
            running.exception()
        raise
