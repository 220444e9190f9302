"""Tasks end with their owner; a failure is told; work on a thread is waited for even by the cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

from etcdpy.transport.peer.tasks import Tasks, run_on_thread
from tests.unit.transport.peer.members import run, until


def test_closing_cancels_and_waits() -> None:
    async def body() -> None:
        ended: list[str] = []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append("ended")

        tasks = Tasks(asyncio.get_running_loop(), ended.append)  # type: ignore[arg-type]
        tasks.start(work())
        await asyncio.sleep(0)
        await tasks.close()
        assert ended == ["ended"]

    run(body())


def test_a_failure_is_told() -> None:
    async def body() -> None:
        failures: list[BaseException] = []

        async def work() -> None:
            raise ValueError("ours")

        tasks = Tasks(asyncio.get_running_loop(), failures.append)
        tasks.start(work())
        await until(lambda: failures)
        assert str(failures[0]) == "ours"
        await tasks.close()

    run(body())


def test_a_cancelled_wait_ends_after_the_work_on_the_thread() -> None:
    """Else its file would be closed, and the number given to another one, while the thread still writes."""

    async def body() -> None:
        may_end, has_ended = threading.Event(), threading.Event()

        def job() -> None:
            may_end.wait(20)
            has_ended.set()

        task = asyncio.ensure_future(run_on_thread(job))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert has_ended.is_set()

    run(body())


def test_what_the_thread_gives_or_raises_comes_back() -> None:
    async def body() -> None:
        assert await run_on_thread(lambda: 5) == 5
        with pytest.raises(ZeroDivisionError):
            await run_on_thread(lambda: 1 // 0)

    run(body())
