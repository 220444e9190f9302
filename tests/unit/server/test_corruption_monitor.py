"""When the checks run."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from etcdpy.base.errors import Timeout
from etcdpy.base.invariant import InvariantError
from etcdpy.base.log import silent_logger
from etcdpy.server.corruption_monitor import CorruptionMonitor
from etcdpy.server.tasks import TaskOwner
from tests.unit.server.spine import run, until

OFTEN_SECONDS = 0.001


class Checks:
    def __init__(self) -> None:
        self.periodic = 0
        self.compactions = 0
        self.error: Exception | None = None

    async def check_periodically(self) -> None:
        self.periodic += 1
        if self.error is not None:
            raise self.error

    async def check_compactions(self) -> None:
        self.compactions += 1


class Stage:
    def __init__(self, *, periodic_seconds: float = 0.0, compaction_seconds: float = 0.0) -> None:
        self.checks = Checks()
        self.is_leader = True
        self.looks = 0
        self.failures: list[BaseException] = []
        self.tasks = TaskOwner(self.failures.append)
        monitor = CorruptionMonitor(
            cast(Any, self.checks),
            is_leader=self._look,
            member_id=1,
            periodic_seconds=periodic_seconds,
            compaction_seconds=compaction_seconds,
            log=silent_logger(),
        )
        monitor.start(self.tasks)

    def _look(self) -> bool:
        self.looks += 1
        return self.is_leader


def test_each_check_again_and_again() -> None:
    async def scenario() -> None:
        stage = Stage(periodic_seconds=OFTEN_SECONDS, compaction_seconds=OFTEN_SECONDS)
        await until(lambda: stage.checks.periodic > 2 and stage.checks.compactions > 2)
        await stage.tasks.close()
        assert stage.failures == []

    run(scenario())


def test_only_while_this_member_leads() -> None:
    async def scenario() -> None:
        stage = Stage(periodic_seconds=OFTEN_SECONDS, compaction_seconds=OFTEN_SECONDS)
        stage.is_leader = False
        await until(lambda: stage.looks > 6)
        assert (stage.checks.periodic, stage.checks.compactions) == (0, 0)
        stage.is_leader = True
        await until(lambda: stage.checks.periodic > 0 and stage.checks.compactions > 0)
        await stage.tasks.close()

    run(scenario())


def test_never_unless_it_is_wanted() -> None:
    async def scenario() -> None:
        stage = Stage()
        await asyncio.sleep(0)

        assert not stage.tasks._tasks

    run(scenario())


def test_a_check_that_fails_is_tried_again_and_a_bug_ends_the_member() -> None:
    async def scenario() -> None:
        stage = Stage(periodic_seconds=OFTEN_SECONDS)
        stage.checks.error = Timeout()
        await until(lambda: stage.checks.periodic > 2)
        assert stage.failures == []
        stage.checks.error = InvariantError("broken")
        await until(lambda: bool(stage.failures))
        await stage.tasks.close()

    run(scenario())
