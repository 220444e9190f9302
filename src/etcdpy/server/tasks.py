"""Owner of the tasks that slow calls need: none is lost, none outlives the server, none fails in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine


class TaskOwner:
    """Tasks run until they are done or `close` cancels them; what one of them raises is given to `on_failure`."""

    def __init__(self, on_failure: Callable[[BaseException], None]) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_failure = on_failure

    def start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Begin `work`. The task is returned for those who may want to cancel it; it need not be kept."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def close(self) -> None:
        """Cancel what still runs and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._on_failure(error)
