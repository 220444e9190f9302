"""Tasks with an owner: none is lost, none fails in silence."""

from __future__ import annotations

import asyncio

from etcdpy.server.tasks import TaskOwner
from tests.unit.server.spine import run, until


def test_what_a_task_raises_is_told() -> None:
    async def scenario() -> None:
        failures: list[BaseException] = []
        owner = TaskOwner(failures.append)

        async def fail() -> None:
            raise ValueError("oh")

        async def succeed() -> None:
            await asyncio.sleep(0)

        owner.start(fail())
        owner.start(succeed())
        await until(lambda: bool(failures))
        await owner.close()

        assert [str(error) for error in failures] == ["oh"]

    run(scenario())


def test_closing_cancels_and_waits_for_what_still_runs() -> None:
    async def scenario() -> None:
        failures: list[BaseException] = []
        events: list[str] = []
        owner = TaskOwner(failures.append)

        async def endless() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                events.append("cleaned up")

        owner.start(endless())
        owner.start(endless())
        await asyncio.sleep(0)
        await owner.close()

        assert events == ["cleaned up"] * 2 and failures == []

    run(scenario())


def test_a_task_that_fails_while_it_is_cancelled_is_told_too() -> None:
    async def scenario() -> None:
        failures: list[BaseException] = []
        owner = TaskOwner(failures.append)

        async def stubborn() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise ValueError("while cleaning up")

        owner.start(stubborn())
        await asyncio.sleep(0)
        await owner.close()
        await asyncio.sleep(0)

        assert [str(error) for error in failures] == ["while cleaning up"]

    run(scenario())


def test_closing_with_nothing_to_do_is_fine() -> None:
    async def scenario() -> None:
        await TaskOwner(lambda error: None).close()

    run(scenario())
