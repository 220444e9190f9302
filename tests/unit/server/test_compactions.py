"""Compaction in slices with pauses, and those who wait for its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.base.log import silent_logger
from etcdpy.server.compactions import CompactionRunner
from etcdpy.server.metrics_source import MetricsSource
from etcdpy.state.mvcc.store import Store
from tests.unit.server.spine import run, until
from tests.unit.state.mvcc.store_on_disk import open_store


class Works:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.failures: list[BaseException] = []
        self.metrics = MetricsSource()
        self.runner = CompactionRunner(
            loop=asyncio.get_running_loop(),
            store=store,
            batch=2,
            pause_seconds=0.0,
            metrics=self.metrics,
            on_failure=self.failures.append,
            log=silent_logger(),
        )

    def put(self, count: int) -> None:
        for _ in range(count):
            self.store.put(b"a", b"v")


@contextmanager
def works(directory: Path) -> Iterator[Works]:
    with open_store(directory) as store:
        yield Works(store)


def finished(works: Works) -> int:
    return works.metrics.db_compaction_total_duration_milliseconds.count


def test_a_compaction_runs_to_its_end_slice_by_slice(tmp_path: Path) -> None:
    async def scenario() -> None:
        with works(tmp_path) as play:
            play.put(9)
            play.store.compact(9)
            play.runner.start()
            assert play.store.is_compacting, "nothing is done in the turn that asks"
            await until(lambda: not play.store.is_compacting)

            assert play.store.counters.compacted_keys == 7
            assert finished(play) == 1

    run(scenario())


def test_who_waits_is_told_when_nothing_is_left(tmp_path: Path) -> None:
    async def scenario() -> None:
        with works(tmp_path) as play:
            play.put(9)
            play.store.compact(9)
            waiting = [asyncio.ensure_future(play.runner.wait_finished()) for _ in range(3)]
            await asyncio.gather(*waiting)

            assert not play.store.is_compacting

    run(scenario())


def test_with_nothing_to_do_nobody_waits(tmp_path: Path) -> None:
    async def scenario() -> None:
        with works(tmp_path) as play:
            await play.runner.wait_finished()
            assert finished(play) == 0

    run(scenario())


def test_a_newer_compaction_joins_the_one_that_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        with works(tmp_path) as play:
            play.put(9)
            play.store.compact(5)
            play.runner.start()
            await asyncio.sleep(0)
            play.store.compact(9)
            play.runner.start()
            await play.runner.wait_finished()

            assert (play.store.counters.compacted_keys, finished(play)) == (7, 1)

    run(scenario())


def test_one_after_the_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        with works(tmp_path) as play:
            for revision in (5, 9):
                play.put(9)
                play.store.compact(revision)
                play.runner.start()
                await play.runner.wait_finished()

            assert finished(play) == 2

    run(scenario())


def test_one_who_gives_up_waiting_does_not_disturb_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        with works(tmp_path) as play:
            play.put(9)
            play.store.compact(9)
            impatient = asyncio.ensure_future(play.runner.wait_finished())
            patient = asyncio.ensure_future(play.runner.wait_finished())
            await asyncio.sleep(0)
            impatient.cancel()
            await patient

            assert play.failures == []

    run(scenario())


def test_a_broken_store_ends_the_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        with works(tmp_path) as play:

            def broken(store: Store, batch: int) -> bool:
                raise InvariantError("broken")

            play.put(9)
            play.store.compact(9)
            with monkeypatch.context() as patch:
                patch.setattr(Store, "compact_step", broken)
                play.runner.start()
                await until(lambda: bool(play.failures))

            assert [str(error) for error in play.failures] == ["broken"]

    run(scenario())


def test_a_stop_ends_the_slices_and_the_waiting(tmp_path: Path) -> None:
    async def scenario() -> None:
        with works(tmp_path) as play:
            play.put(9)
            play.store.compact(9)
            waiting = asyncio.ensure_future(play.runner.wait_finished())
            await asyncio.sleep(0)
            play.runner.stop()
            await until(waiting.done)
            assert waiting.cancelled()
            removed = play.store.counters.compacted_keys
            for _ in range(10):
                await asyncio.sleep(0)

            assert play.store.counters.compacted_keys == removed and play.store.is_compacting

    run(scenario())
