"""Automatic compaction on a real member: one proposal at a time, and only by who leads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from etcdpy.base.log import silent_logger
from etcdpy.pb.rpc_pb2 import CompactionRequest, PutRequest
from etcdpy.server.auto_compaction import AutoCompaction
from etcdpy.server.compactor import RevisionCompactor
from etcdpy.server.service import Service
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.apply import proposal as kinds
from tests.unit.server.spine import Spine, open_spine, run, until
from tests.unit.server.test_service import Follower

KEPT_REVISIONS = 3
INTERVAL = 300.0


class Scene:
    def __init__(self, spine: Spine, service: Service) -> None:
        self.spine = spine
        self.service = service
        self.failures: list[BaseException] = []
        self.tasks = TaskOwner(self.failures.append)
        self.auto = AutoCompaction(RevisionCompactor(KEPT_REVISIONS, 0.0), service, self.tasks, silent_logger())

    async def put(self, count: int) -> None:
        for _ in range(count):
            await self.service.call(kinds.PUT, PutRequest(key=b"a"))

    async def tick(self, now: float) -> int:
        """Let it look at the time; return what the history is compacted to afterwards."""
        self.auto.tick(now, self.spine.store.current_revision)
        await until(lambda: not self.auto._is_busy)
        return self.spine.store.compact_revision


@asynccontextmanager
async def scene(directory: Path) -> AsyncIterator[Scene]:
    with open_spine(directory) as spine:
        service = spine.make_service()
        service.observer = Follower(spine)
        spine.driver.start(service)
        await spine.elect()
        play = Scene(spine, service)
        yield play
        await play.tasks.close()
        assert play.failures == []


def test_history_is_compacted_when_its_time_has_come(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with scene(tmp_path) as play:
            await play.put(9)
            assert await play.tick(INTERVAL - 1) == -1
            assert await play.tick(INTERVAL) == 10 - KEPT_REVISIONS
            await play.put(1)
            assert await play.tick(INTERVAL + 1) == 7
            assert await play.tick(2 * INTERVAL) == 8

    run(scenario())


def test_who_does_not_lead_asks_for_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with scene(tmp_path) as play:
            await play.put(9)
            play.auto.set_leading(False)
            assert await play.tick(INTERVAL) == -1
            play.auto.set_leading(True)
            assert await play.tick(2 * INTERVAL) == 7

    run(scenario())


def test_one_proposal_at_a_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with scene(tmp_path) as play:
            await play.put(9)
            for number in range(1, 4):
                play.auto.tick(number * INTERVAL, 10 + number)
            assert len(play.tasks._tasks) == 1
            assert await play.tick(0.0) == 11 - KEPT_REVISIONS, "the first"

    run(scenario())


def test_what_somebody_else_compacted_already_is_as_good(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with scene(tmp_path) as play:
            await play.put(9)
            await play.service.call(kinds.COMPACTION, CompactionRequest(revision=9))
            log_end = play.spine.member.last_index
            assert await play.tick(INTERVAL) == 9
            assert play.spine.member.last_index == log_end + 1
            assert await play.tick(2 * INTERVAL) == 9
            assert play.spine.member.last_index == log_end + 1, "not asked for again"

    run(scenario())


def test_a_failure_is_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with scene(tmp_path) as play:
            await play.put(9)
            play.service._is_stopped = True
            assert await play.tick(INTERVAL) == -1
            play.service._is_stopped = False
            assert await play.tick(2 * INTERVAL) == 7

    run(scenario())
