"""The disk thread: jobs in order, outcomes on the loop, nothing swallowed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from etcdpy.server.disk import DiskThread
from tests.unit.server.spine import run, until


@contextmanager
def disk_thread() -> Iterator[DiskThread]:
    disk = DiskThread(asyncio.get_running_loop())
    try:
        yield disk
    finally:
        disk.close()


def hold(gate: threading.Event) -> None:
    assert gate.wait(10)


def test_jobs_run_one_after_the_other_in_the_order_given() -> None:
    async def scenario() -> None:
        with disk_thread() as disk:
            events: list[str] = []
            for number in range(20):
                disk.submit(
                    lambda number=number: events.append(f"job {number}"),  # type: ignore[misc]
                    lambda error, number=number: events.append(f"done {number} {error}"),  # type: ignore[misc]
                )
            await until(lambda: disk.is_idle)

            assert [event for event in events if event.startswith("job")] == [f"job {n}" for n in range(20)]
            assert [event for event in events if event.startswith("done")] == [f"done {n} None" for n in range(20)]

    run(scenario())


def test_jobs_run_on_the_thread_and_outcomes_on_the_loop() -> None:
    async def scenario() -> None:
        with disk_thread() as disk:
            threads: list[str] = []
            disk.submit(
                lambda: threads.append(threading.current_thread().name),
                lambda error: threads.append(threading.current_thread().name),
            )
            await until(lambda: disk.is_idle)

            assert threads == ["etcd-disk", threading.current_thread().name]

    run(scenario())


def test_a_thread_is_busy_until_the_outcome_was_told() -> None:
    async def scenario() -> None:
        with disk_thread() as disk:
            gate = threading.Event()
            seen: list[bool] = []
            disk.submit(lambda: hold(gate), lambda error: seen.append(disk.is_idle))
            assert not disk.is_idle
            gate.set()
            await until(lambda: disk.is_idle)

            assert seen == [True], "whoever is told may count on an idle thread"

    run(scenario())


def test_an_error_is_told_and_the_next_job_runs() -> None:
    async def scenario() -> None:
        with disk_thread() as disk:
            errors: list[BaseException | None] = []

            def fail() -> None:
                raise OSError(28, "full")

            disk.submit(fail, errors.append)
            disk.submit(lambda: None, errors.append)
            await until(lambda: disk.is_idle)

            assert isinstance(errors[0], OSError) and errors[1] is None

    run(scenario())


def test_run_waits_and_raises() -> None:
    async def scenario() -> None:
        with disk_thread() as disk:
            done: list[int] = []
            await disk.run(lambda: done.append(1))
            assert done == [1]

            def fail() -> None:
                raise OSError(28, "full")

            with pytest.raises(OSError, match="full"):
                await disk.run(fail)

    run(scenario())


def test_who_stops_waiting_disturbs_nobody() -> None:
    async def scenario() -> None:
        with disk_thread() as disk:
            gate = threading.Event()
            waiting = asyncio.ensure_future(disk.run(lambda: hold(gate)))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.sleep(0)
            gate.set()
            await until(lambda: disk.is_idle)

    run(scenario())


def test_closing_lets_what_is_queued_finish() -> None:
    async def scenario() -> None:
        done: list[int] = []
        with disk_thread() as disk:
            for number in range(5):
                disk.submit(lambda number=number: done.append(number), lambda error: None)  # type: ignore[misc]
        assert done == [0, 1, 2, 3, 4]

    run(scenario())


def test_a_loop_that_closed_meanwhile_does_not_hang_the_thread() -> None:
    gate = threading.Event()
    disks: list[DiskThread] = []

    async def scenario() -> None:
        disks.append(DiskThread(asyncio.get_running_loop()))
        disks[0].submit(lambda: hold(gate), lambda error: None)

    run(scenario())
    gate.set()
    disks[0].close()
