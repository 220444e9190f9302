"""Downgrades: which targets are taken, what goes into the log, and that each is asked after a linearizable read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etcdpy.base.errors import (
    ClusterVersionUnavailable,
    DowngradeInProcess,
    EtcdError,
    InvalidDowngradeTargetVersion,
    NoInflightDowngrade,
    Timeout,
    WrongDowngradeVersionFormat,
)
from etcdpy.server.downgrade import Downgrades, parse_target
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.caller import Caller
from etcdpy.state.apply.membership import apply_request
from tests.unit.server.membership_world import Lines, World, logger_with, open_world
from tests.unit.server.spine import run


class Log:
    """What is proposed is applied at once; what others have decided is known after a read only."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.proposed: list[tuple[bool, bytes]] = []
        self.decided_elsewhere = ""
        self.failure: EtcdError | None = None

    async def wait_linearizable(self) -> object:
        if self.failure is not None:
            raise self.failure
        if self.decided_elsewhere:
            self.world.roster.set_downgrade(self.decided_elsewhere, mirror=True)
        return None

    async def call(self, kind: int, request: Any, caller: Caller | None = None) -> object:
        self.proposed.append((request.enabled, request.ver))
        apply_request(self.world.roster, kind, request, mirror=True)
        assert kind == kinds.DOWNGRADE_INFO_SET
        return None


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("3.4", (3, 4)),
        ("3.4.0", (3, 4)),
        ("3.4.7", (3, 4)),
        ("03.4", (3, 4)),
        ("3.4.0-rc.1", (3, 4)),
        ("3.4.0-", (3, 4)),
        ("3.4.0+git", (3, 4)),
        ("9223372036854775807.1", (9223372036854775807, 1)),
        ("0" * 6000 + "3.4", (3, 4)),
    ],
)
def test_versions(text: str, target: tuple[int, int]) -> None:
    """Each was tried with a real 3.5.1 (see tests/compat/test_downgrade_real.py)."""
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text",
    ["", "x", "3", "v3.4", "3.4.", "-1.2", "3.4.0.0", "3.4-rc", "٣.٤", "3.4\n", "9223372036854775808.1", "9" * 6000],
)
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(WrongDowngradeVersionFormat):
        parse_target(text)


def test_from_allowing_to_ending(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, []) as world:
            log, lines = Log(world), Lines()
            downgrades = Downgrades(log, world.roster, logger_with(lines))
            with pytest.raises(ClusterVersionUnavailable):
                await downgrades.validate("3.4")
            world.roster.set_version("3.5.0", mirror=True)
            for wrong in ("3.5", "3.3", "3.6", "4.4"):
                with pytest.raises(InvalidDowngradeTargetVersion):
                    await downgrades.enable(wrong)
            assert await downgrades.validate("3.4.9") == "3.5.0"
            with pytest.raises(NoInflightDowngrade):
                await downgrades.cancel()
            assert log.proposed == []

            assert await downgrades.enable("3.4.9") == "3.5.0"
            assert world.roster.downgrade_target == "3.4.0"
            for verb in (downgrades.validate, downgrades.enable):
                with pytest.raises(DowngradeInProcess):
                    await verb("3.4")
            assert await downgrades.cancel() == "3.5.0"
            assert world.roster.downgrade_target == ""
            assert log.proposed == [(True, b"3.4.0"), (False, b"")]
            assert [line["msg"] for line in lines.lines].count("reject downgrade request") == 5

    run(scenario())


def test_what_others_decided_a_moment_ago_counts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, []) as world:
            world.roster.set_version("3.5.0", mirror=True)
            log = Log(world)
            downgrades = Downgrades(log, world.roster, logger_with(Lines()))
            log.decided_elsewhere = "3.4.0"
            with pytest.raises(DowngradeInProcess):
                await downgrades.validate("3.4")
            world.roster.set_downgrade("", mirror=True)
            assert await downgrades.cancel() == "3.5.0"
            log.failure = Timeout()
            with pytest.raises(Timeout):
                await downgrades.cancel()

    run(scenario())
