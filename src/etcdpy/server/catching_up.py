"""Waiting until what is committed is applied: a lease may be granted by an entry that the lessor has not seen yet.

`advance` after every turn, `wait` by whoever must not answer from an old state. The wait is short: a member that lags
further behind says so, and the asker looks for help elsewhere.

Upstream: EtcdServer.waitAppliedIndex, leasehttp.applyTimeout.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

from etcdpy.base.errors import TimeoutWaitAppliedIndex

# Upstream's applyTimeout.
APPLY_SECONDS_MAX: Final = 1.0


class Progress(Protocol):
    """The member's two indexes."""

    @property
    def committed_index(self) -> int: ...

    applied_index: int


class CatchingUp:
    """Those who wait for entries to be applied."""

    def __init__(self, progress: Progress, *, seconds_max: float = APPLY_SECONDS_MAX) -> None:
        self._progress = progress
        self._seconds_max = seconds_max
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()  # Invariant: by index, ascending.

    @property
    def is_done(self) -> bool:
        """Whether all that is known to be committed is applied."""
        return self._progress.applied_index >= self._progress.committed_index

    async def wait(self) -> None:
        """Wait until what is committed now is applied. Raise TimeoutWaitAppliedIndex after a second."""
        if self.is_done:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # The committed index never goes down, so the queue stays in order.
        self._waiting.append((self._progress.committed_index, future))
        try:
            async with asyncio.timeout(self._seconds_max):
                await future
        except TimeoutError:
            raise TimeoutWaitAppliedIndex from None

    def advance(self, applied_index: int) -> None:
        """Everything up to `applied_index` is applied."""
        waiting = self._waiting
        while waiting and (waiting[0][0] <= applied_index or waiting[0][1].done()):
            future = waiting.popleft()[1]
            if not future.done():
                future.set_result(None)
