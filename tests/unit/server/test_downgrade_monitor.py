"""The end of a downgrade: when all members know the target as the cluster's version, the leader cancels it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from etcdpy.base.errors import EtcdError, Timeout
from etcdpy.server.downgrade import Downgrades
from etcdpy.server.downgrade_monitor import DowngradeMonitor
from etcdpy.state.members import Member
from tests.unit.server.membership_world import Lines, World, learner, logger_with, open_world, voter
from tests.unit.server.spine import run
from tests.unit.server.test_downgrade import Log

MEMBERS = [voter(1), voter(2), learner(3)]


def monitor_of(world: World, log: Log, versions: Mapping[int, str | None], lines: Lines) -> DowngradeMonitor:
    async def ask(members: Sequence[Member]) -> Mapping[int, str | None]:
        assert [member.id for member in members] == [2, 3]
        return versions

    logger = logger_with(lines)
    return DowngradeMonitor(
        Downgrades(log, world.roster, logger),
        raft=world,
        roster=world.roster,
        ask_cluster_versions=ask,
        member_id=1,
        check_seconds=1.0,
        log=logger,
    )


@pytest.mark.parametrize(
    ("own", "versions", "is_done"),
    [
        ("3.4.0", {2: "3.4.0", 3: "3.4.0"}, True),
        ("3.5.0", {2: "3.4.0", 3: "3.4.0"}, False),
        ("3.4.0", {2: "3.4.0", 3: "3.5.0"}, False),
        ("3.4.0", {2: "3.4.0", 3: None}, False),
        ("3.4.0", {2: "not_decided", 3: "3.4.0"}, False),
    ],
)
def test_when_it_is_done(tmp_path: Path, own: str, versions: Mapping[int, str | None], is_done: bool) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, MEMBERS) as world:
            world.is_leader = True
            log, lines = Log(world), Lines()
            monitor = monitor_of(world, log, versions, lines)
            await monitor.look()
            assert log.proposed == []  # there is none

            world.roster.set_downgrade("3.4.0", mirror=True)
            world.roster.version = (
                own  # a member of ours dies of 3.4.0 in the log; what it asks others is all that counts
            )
            world.is_leader = False
            await monitor.look()
            assert log.proposed == []
            world.is_leader = True
            await monitor.look()
            assert log.proposed == ([(False, b"")] if is_done else [])
            assert ("the cluster has been downgraded" in [line["msg"] for line in lines.lines]) == is_done

    run(scenario())


def test_a_cancellation_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, MEMBERS) as world:
            world.is_leader = True
            log, lines = Log(world), Lines()
            monitor = monitor_of(world, log, {2: "3.4.0", 3: "3.4.0"}, lines)
            world.roster.set_downgrade("3.4.0", mirror=True)
            world.roster.version = "3.4.0"
            failure: EtcdError = Timeout()
            log.failure = failure
            await monitor.look()
            assert (
                "failed to cancel downgrade" in [line["msg"] for line in lines.lines] and world.roster.downgrade_target
            )
            log.failure = None
            await monitor.look()
            assert not world.roster.downgrade_target

    run(scenario())
