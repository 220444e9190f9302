"""Certain that we lead: for how long after a majority said so, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from etcdpy.base.errors import Timeout
from etcdpy.server.mandate import Mandate
from etcdpy.server.tasks import TaskOwner
from tests.unit.server.spine import run


class Stage:
    """A member whose clock stands still until the test moves it, and rounds that end when it says so."""

    def __init__(self) -> None:
        self.is_leader = True
        self.term = 3
        self.now = 100.0
        self.rounds: list[asyncio.Future[None]] = []
        self.failures: list[BaseException] = []
        self.tasks = TaskOwner(self.failures.append)
        self.mandate = Mandate(self, confirm=self._confirm, clock=lambda: self.now, fresh_seconds=1.0, tasks=self.tasks)

    def _confirm(self) -> Awaitable[None]:
        self.rounds.append(asyncio.get_running_loop().create_future())
        return self.rounds[-1]

    async def begin(self) -> asyncio.Future[bool]:
        """Ask whether it is certain, and let it get as far as it gets."""
        asked = asyncio.ensure_future(self.mandate.wait_certain())
        await self.settle()
        return asked

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


def play(act: Callable[[Stage], Awaitable[None]]) -> None:
    async def scenario() -> None:
        stage = Stage()
        await act(stage)
        await stage.tasks.close()
        assert stage.failures == []

    run(scenario())


def test_certain_for_an_election_timeout_after_the_round_began() -> None:
    async def act(stage: Stage) -> None:
        assert not stage.mandate.is_certain(), "nobody has said so yet"
        asked = await stage.begin()
        stage.now += 0.4
        stage.rounds[0].set_result(None)
        assert await asked
        stage.now += 0.5
        assert stage.mandate.is_certain() and await stage.mandate.wait_certain()
        stage.now += 0.2
        assert not stage.mandate.is_certain(), "counted from when it was asked, not from when it was answered"

    play(act)


def test_a_member_that_was_stopped_meanwhile_asks_again() -> None:
    """The round was answered, but so late that another one may have been elected since."""

    async def act(stage: Stage) -> None:
        asked = await stage.begin()
        stage.now += 30.0
        stage.rounds[0].set_result(None)
        await stage.settle()
        assert not await asked and not stage.mandate.is_certain()
        again = await stage.begin()
        stage.rounds[1].set_result(None)

        assert await again

    play(act)


def test_who_asks_while_an_old_round_runs_gets_a_new_one_when_that_was_too_old() -> None:
    async def act(stage: Stage) -> None:
        first = await stage.begin()
        stage.now += 30.0
        second = await stage.begin()
        stage.rounds[0].set_result(None)
        await stage.settle()
        assert len(stage.rounds) == 2
        stage.rounds[1].set_result(None)

        assert not await first
        assert await second

    play(act)


def test_one_round_serves_all_who_wait() -> None:
    async def act(stage: Stage) -> None:
        asked = [await stage.begin() for _ in range(3)]
        stage.rounds[0].set_result(None)

        assert await asyncio.gather(*asked) == [True, True, True]
        assert len(stage.rounds) == 1

    play(act)


def test_one_who_gives_up_waiting_does_not_end_the_round() -> None:
    async def act(stage: Stage) -> None:
        impatient, patient = await stage.begin(), await stage.begin()
        impatient.cancel()
        await stage.settle()
        stage.rounds[0].set_result(None)

        assert await patient

    play(act)


def test_no_majority_no_lead() -> None:
    async def act(stage: Stage) -> None:
        asked = await stage.begin()
        stage.rounds[0].set_exception(Timeout())

        assert not await asked and not stage.mandate.is_certain()

    play(act)


def test_certainty_ends_with_the_term_and_the_role() -> None:
    async def act(stage: Stage) -> None:
        asked = await stage.begin()
        stage.rounds[0].set_result(None)
        assert await asked
        stage.is_leader = False
        assert not stage.mandate.is_certain() and not await stage.mandate.wait_certain()
        stage.is_leader = True
        assert stage.mandate.is_certain()
        stage.term += 2
        assert not stage.mandate.is_certain(), "another one led in between"

    play(act)


def test_a_round_of_an_older_term_confirms_nothing() -> None:
    async def act(stage: Stage) -> None:
        asked = await stage.begin()
        stage.term += 2
        stage.rounds[0].set_result(None)

        assert not await asked and not stage.mandate.is_certain()

    play(act)


def test_a_follower_asks_nobody() -> None:
    async def act(stage: Stage) -> None:
        stage.is_leader = False

        assert not await stage.mandate.wait_certain()
        assert stage.rounds == []

    play(act)
