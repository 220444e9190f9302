"""Waiting for what is committed to be applied."""

from __future__ import annotations

import asyncio

import pytest

from etcdpy.base.errors import TimeoutWaitAppliedIndex
from etcdpy.server.catching_up import CatchingUp
from tests.unit.server.spine import run


class Progress:
    def __init__(self) -> None:
        self.committed_index = 5
        self.applied_index = 5


def test_who_has_caught_up_waits_for_nothing() -> None:
    async def scenario() -> None:
        catching_up = CatchingUp(Progress(), seconds_max=0.0)
        assert catching_up.is_done
        await catching_up.wait()

    run(scenario())


def test_each_waits_for_what_was_committed_when_it_came() -> None:
    async def scenario() -> None:
        progress = Progress()
        catching_up = CatchingUp(progress)
        progress.committed_index = 7
        early = asyncio.ensure_future(catching_up.wait())
        await asyncio.sleep(0)
        progress.committed_index = 9
        late = asyncio.ensure_future(catching_up.wait())
        await asyncio.sleep(0)
        catching_up.advance(6)
        await asyncio.sleep(0)
        assert not early.done()
        catching_up.advance(8)
        await early
        assert not late.done()
        catching_up.advance(9)
        await late

    run(scenario())


def test_not_longer_than_allowed_and_nothing_is_left_behind() -> None:
    async def scenario() -> None:
        progress = Progress()
        progress.committed_index = 7
        catching_up = CatchingUp(progress, seconds_max=0.01)
        with pytest.raises(TimeoutWaitAppliedIndex):
            await catching_up.wait()
        catching_up.advance(6)

        assert not catching_up._waiting, "who gave up is forgotten"

    run(scenario())
