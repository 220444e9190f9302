"""The cluster's version: the oldest member's, set by the leader."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from etcdpy.base.errors import EtcdError, Stopped, Timeout
from etcdpy.base.log import silent_logger
from etcdpy.base.version import VERSION
from etcdpy.server import version_monitor as module
from etcdpy.server.version_monitor import VersionMonitor, decide_version
from etcdpy.state.members import Member
from tests.unit.server.membership_world import Lines, World, learner, logger_with, open_world, voter
from tests.unit.server.spine import run, until

MEMBERS = [voter(1), voter(2), learner(3)]


class Monitor:
    """A monitor over a world's roster; what it publishes is applied at once."""

    def __init__(self, world: World, versions: Mapping[int, str | None]) -> None:
        self.world = world
        self.versions = versions
        self.published: list[str] = []
        self.asked: list[list[int]] = []
        self.failure: EtcdError | None = None
        self.lines = Lines()
        self.monitor = VersionMonitor(
            raft=world, roster=world.roster, publisher=self, member_id=1, log=logger_with(self.lines)
        )
        self.monitor.ask_versions = self.ask

    async def ask(self, members: Sequence[Member]) -> Mapping[int, str | None]:
        self.asked.append([member.id for member in members])
        return self.versions

    async def propose_v2_put(self, path: str, value: str) -> None:
        assert path == "/0/version"
        if self.failure is not None:
            raise self.failure
        self.published.append(value)
        self.world.roster.set_version(value, mirror=True)


@pytest.mark.parametrize(
    ("before", "versions", "published"),
    [
        ("", {2: "3.5.1", 3: "3.5.33"}, ["3.5.0"]),
        ("", {2: "3.4.23", 3: "3.5.1"}, ["3.4.0"]),
        ("", {2: "3.6.0", 3: "3.6.0"}, ["3.5.0"]),  # we are the oldest
        ("", {2: "3.5.1", 3: None}, ["3.0.0"]),
        ("", {2: "3.5.1"}, ["3.0.0"]),
        ("", {2: "3.5.1", 3: "nonsense"}, ["3.0.0"]),
        ("3.0.0", {2: "3.5.1", 3: None}, []),
        ("3.0.0", {2: "3.5.1", 3: "3.5.1"}, ["3.5.0"]),
        ("3.4.0", {2: "3.4.1", 3: "3.5.1"}, []),
        ("3.5.0", {2: "3.5.1", 3: "3.5.1"}, []),
        ("3.5.0", {2: "3.4.1", 3: "3.5.1"}, []),  # it never goes back by itself
    ],
)
def test_the_version_is_that_of_the_oldest_member(
    tmp_path: Path, before: str, versions: Mapping[int, str | None], published: list[str]
) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, MEMBERS) as world:
            if before:
                world.roster.set_version(before, mirror=True)
            monitor = Monitor(world, versions)
            await monitor.monitor.look()

            assert monitor.published == published and monitor.asked == [[2, 3]]

    run(scenario())


def test_a_downgrade_lets_the_version_go_back_by_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, MEMBERS) as world:
            world.roster.set_downgrade("3.5.0", mirror=True)
            world.roster.set_version("3.6.0", mirror=True)
            monitor = Monitor(world, {2: "3.6.0", 3: "3.6.0"})
            await monitor.monitor.look()

            assert monitor.published == ["3.5.0"]

    run(scenario())


def test_only_the_leader_decides(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, MEMBERS) as world:
            world.is_leader = False
            monitor = Monitor(world, {2: "3.5.1", 3: "3.5.1"})
            await monitor.monitor.look()

            assert (monitor.asked, monitor.published) == ([], [])

    run(scenario())


def test_a_member_that_is_alone_asks_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, [voter(1)]) as world:
            monitor = Monitor(world, {})
            await monitor.monitor.look()

            assert (monitor.asked, monitor.published) == ([], ["3.5.0"])
            assert monitor.lines.lines == [
                {
                    "level": "info",
                    "msg": "setting up initial cluster version using v2 API",
                    "cluster-version": "3.5",
                },
                {"level": "info", "msg": "cluster version is updated", "cluster-version": "3.5"},
            ]

    run(scenario())


def test_a_step_up_says_from_where_to_where(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, [voter(1)]) as world:
            world.roster.set_version("3.0.0", mirror=True)
            monitor = Monitor(world, {})
            await monitor.monitor.look()

            assert monitor.lines.lines[0] == {
                "level": "info",
                "msg": "updating cluster version using v2 API",
                "from": "3.0",
                "to": "3.5",
            }

    run(scenario())


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (Timeout(), "failed to update cluster version"),
        (Stopped(), "aborting cluster version update; server is stopped"),
    ],
)
def test_what_cannot_be_published_now_is_tried_again_later(tmp_path: Path, failure: EtcdError, message: str) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, [voter(1)]) as world:
            monitor = Monitor(world, {})
            monitor.failure = failure
            await monitor.monitor.look()
            assert monitor.lines.lines[-1] == {"level": "warn", "msg": message, "error": failure.text}
            monitor.failure = None
            await monitor.monitor.look()

            assert monitor.published == ["3.5.0"]

    run(scenario())


@pytest.mark.parametrize("is_woken", [True, False])
def test_it_looks_when_woken_and_from_time_to_time(
    tmp_path: Path, is_woken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MONITOR_SECONDS", 1000.0 if is_woken else 0.001)

    async def scenario() -> None:
        async with open_world(tmp_path, MEMBERS) as world:
            monitor = Monitor(world, {})
            running = asyncio.ensure_future(monitor.monitor.run())
            for looks in (1, 2):
                if is_woken:
                    monitor.monitor.wake()
                await until(lambda looks=looks: len(monitor.asked) >= looks)  # type: ignore[misc]
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    run(scenario())


def test_what_stands_out_is_logged() -> None:
    lines = Lines()
    assert decide_version({1: VERSION, 2: "3.6.1"}, logger_with(lines)) == (3, 5)
    assert decide_version({1: VERSION, 2: "x"}, logger_with(lines)) is None
    assert decide_version({}, silent_logger()) is None

    about = {"remote-member-id": "2"}
    assert lines.lines == [
        {"level": "warn", "msg": "leader found higher-versioned member", "local-member-version": VERSION}
        | about
        | {"remote-member-version": "3.6.1"},
        {"level": "warn", "msg": "failed to parse server version of remote member"}
        | about
        | {"remote-member-version": "x", "error": "x is not in dotted-tri format"},
    ]
