"""Runs the store's compaction to its end, a slice at a time with pauses, and lets callers wait for that."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from etcdpy.base.log import Duration, log_info
from etcdpy.server.metrics_source import MetricsSource
from etcdpy.state.mvcc.store import Store


class CompactionRunner:
    """At most one compaction runs; a newer one joins it (see state.mvcc.compaction)."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        store: Store,
        batch: int,
        pause_seconds: float,
        metrics: MetricsSource,
        on_failure: Callable[[BaseException], None],
        log: logging.Logger,
        wall_seconds: Callable[[], float] = time.time,
    ) -> None:
        self._loop = loop
        self._store = store
        self._batch = batch
        self._pause_seconds = pause_seconds
        self._metrics = metrics
        self._on_failure = on_failure
        self._log = log
        self._wall_seconds = wall_seconds
        self._timer: asyncio.Handle | None = None
        self._started = 0.0
        self._waiting: list[asyncio.Future[None]] = []

    def start(self) -> None:
        """Begin, unless it runs already."""
        if self._timer is None:
            self._started = self._loop.time()
            self._timer = self._loop.call_soon(self._step)

    async def wait_finished(self) -> None:
        """Wait until nothing is left to remove."""
        if not self._store.is_compacting:
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(future)
        self.start()
        await future

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for future in self._waiting:
            future.cancel()

    def _step(self) -> None:
        began = self._loop.time()
        try:
            is_done = self._store.compact_step(self._batch)
        except Exception as error:  # our own bug or a broken disk: the member ends
            self._on_failure(error)
            return
        if not is_done:
            self._metrics.db_compaction_pause_duration_milliseconds.observe((self._loop.time() - began) * 1000)
            self._timer = self._loop.call_later(self._pause_seconds, self._step)
            return
        self._timer = None
        self._finish()

    def _finish(self) -> None:
        took = self._loop.time() - self._started
        self._metrics.db_compaction_last = int(self._wall_seconds())
        self._metrics.db_compaction_total_duration_milliseconds.observe(took * 1000)
        log_info(
            self._log,
            "finished scheduled compaction",
            compact_revision=self._store.compact_revision,
            took=Duration(took),
        )
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
