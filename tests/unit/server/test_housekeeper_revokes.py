"""Leases that ended are revoked at the pacer's pace, not at that of the chores."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any, cast

from etcdpy.base.errors import Timeout
from etcdpy.pb.raft_values import Entry
from etcdpy.server.catching_up import CatchingUp
from etcdpy.server.housekeeper import Housekeeper
from etcdpy.server.mandate import Mandate
from etcdpy.server.service import Service
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.apply.applier import Result
from etcdpy.state.lease.expiry import REVOKES_IN_FLIGHT_MAX
from tests.unit.server.spine import Spine, open_spine, run, until

UNUSED = cast(Any, None)
LEASES = 10 * REVOKES_IN_FLIGHT_MAX


class ConfChanges:
    """An observer that does only what must be done."""

    def __init__(self, spine: Spine) -> None:
        self.spine = spine

    def on_applied(self, results: list[tuple[int, Result | None]]) -> None: ...

    def before_answers(self) -> None: ...

    def on_turn_end(self, applied_index: int) -> None: ...

    def on_leader_change(self, leader_id: int, *, is_self: bool) -> None: ...

    def on_failure(self, error: BaseException) -> None: ...

    def on_conf_change(self, entry: Entry) -> None:
        self.spine.apply_conf_change(entry)


async def open_housekeeper(spine: Spine) -> tuple[Housekeeper, Service, TaskOwner]:
    service = spine.make_service()
    service.observer = ConfChanges(spine)
    spine.driver.start(service)
    await spine.elect()
    tasks = TaskOwner(on_failure=spine.driver.fail)
    housekeeper = Housekeeper(
        loop=spine.loop,
        driver=spine.driver,
        member=spine.member,
        service=service,
        applier=spine.applier,
        store=spine.store,
        lessor=spine.lessor,
        hub=UNUSED,
        roster=spine.roster,
        snapshots=UNUSED,
        compactions=UNUSED,
        auto_compaction=None,
        reconfiguration=UNUSED,
        versions=UNUSED,
        tasks=tasks,
        mandate=Mandate(
            spine.member, confirm=service.wait_linearizable, clock=spine.loop.time, fresh_seconds=1.0, tasks=tasks
        ),
        catching_up=CatchingUp(spine.member),
        conf_state=spine.conf_state,
        member_id=spine.recovered.member_id,
        election_timeout_seconds=1.0,
        tick_seconds=0.1,
        log=logging.getLogger("test"),
    )
    return housekeeper, service, tasks


def end_leases(spine: Spine) -> None:
    """Let so many leases exist, all of whose time is up."""
    for lease_id in range(1, LEASES + 1):
        spine.lessor.grant(lease_id, 2)
    spine.backend.end_batch()
    spine.lessor.promote(spine.loop.time() - 1_000.0, 0.0)


def test_one_look_at_the_leases_revokes_them_all(tmp_path: Path) -> None:
    """Only so many are in flight; each that is through makes room for the next."""

    async def scenario() -> None:
        with open_spine(tmp_path) as spine:
            housekeeper, _, tasks = await open_housekeeper(spine)
            end_leases(spine)
            housekeeper._do_chores()
            await until(lambda: housekeeper.leases_expired == LEASES)

            assert len(spine.lessor) == 0
            await tasks.close()

    run(scenario())


def test_after_the_stop_nothing_more_is_proposed(tmp_path: Path) -> None:
    async def scenario() -> None:
        with open_spine(tmp_path) as spine:
            housekeeper, service, tasks = await open_housekeeper(spine)
            end_leases(spine)
            housekeeper._do_chores()
            service.stop()
            await tasks.close()
            await asyncio.sleep(0)
            await spine.wait_quiet()

            assert len(spine.lessor) >= LEASES - REVOKES_IN_FLIGHT_MAX
            assert not tasks._tasks

    run(scenario())


def test_a_leader_that_was_stopped_asks_a_majority_before_it_revokes(tmp_path: Path) -> None:
    """etcd issue 15247: another one may lead by now, and the leases may have been renewed over there."""

    async def scenario() -> None:
        with open_spine(tmp_path) as spine:
            housekeeper, service, tasks = await open_housekeeper(spine)
            minutes_later = [0.0]
            rounds: list[asyncio.Future[None]] = []

            def confirm() -> asyncio.Future[None]:
                rounds.append(spine.loop.create_future())
                return rounds[-1]

            housekeeper._mandate = Mandate(
                spine.member,
                confirm=confirm,
                clock=lambda: spine.loop.time() + minutes_later[0],
                fresh_seconds=60.0,
                tasks=tasks,
            )
            housekeeper._do_chores()
            assert not rounds, "nothing has expired: there is nothing to be certain about"

            end_leases(spine)
            log_end = spine.member.last_index
            housekeeper._do_chores()
            await until(lambda: len(rounds) == 1)
            housekeeper._do_chores()
            await spine.wait_quiet()
            assert (len(rounds), spine.member.last_index) == (1, log_end), "it waits for the answer"
            rounds[0].set_exception(Timeout())
            await until(lambda: not tasks._tasks)
            assert spine.member.last_index == log_end, "nobody confirmed it"

            housekeeper._do_chores()
            await until(lambda: len(rounds) == 2)
            rounds[1].set_result(None)
            await until(lambda: housekeeper.leases_expired == LEASES)
            minutes_later[0] = 600.0
            spine.lessor.grant(7, 2)
            spine.backend.end_batch()
            spine.lessor.promote(spine.loop.time() - 1_000.0, 0.0)
            housekeeper._propose_revokes(spine.loop.time() + 1.0)
            await until(lambda: len(rounds) == 3)
            assert len(spine.lessor) == 1, "what was confirmed ten minutes ago counts no more"
            rounds[2].cancel()
            service.stop()
            await tasks.close()

    run(scenario())
