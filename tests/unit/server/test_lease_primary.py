"""What stands in the way of the leader's lessor. The rest of it is in test_renewals."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from etcdpy.base.errors import LeaseNotFound
from etcdpy.pb.rpc_pb2 import LeaseTimeToLiveRequest
from etcdpy.server.catching_up import CatchingUp
from etcdpy.server.lease_primary import LeasePrimary
from etcdpy.server.mandate import Mandate
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.lease.lessor import Lessor, NotPrimary
from etcdpy.storage.backend import Backend
from tests.unit.server.spine import run
from tests.unit.server.test_renewals import View


async def confirmed() -> None:
    """A majority that always agrees."""


def test_first_certain_then_caught_up_then_the_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        view, failures = View(), list[BaseException]()
        tasks = TaskOwner(failures.append)
        backend = Backend.open(tmp_path)
        lessor = Lessor(backend, ttl_seconds_min=2)
        mandate = Mandate(view, confirm=confirmed, clock=lambda: 100.0, fresh_seconds=1.0, tasks=tasks)
        catching_up = CatchingUp(view)
        primary = LeasePrimary(lessor, mandate, catching_up, lambda: 100.0)
        with pytest.raises(NotPrimary):
            await primary.renew(7)
        with pytest.raises(NotPrimary):
            await primary.time_to_live(LeaseTimeToLiveRequest(ID=7))

        view.is_leader = True
        lessor.promote(100.0, 1.0)
        view.committed_index = 4
        renewal = asyncio.ensure_future(primary.renew(7))
        while not catching_up._waiting:
            await asyncio.sleep(0)
        assert mandate.is_certain() and not primary.can_answer_now()
        lessor.grant(7, 10)  # what entry 4 does
        view.applied_index = 4
        catching_up.advance(4)
        assert await renewal == 10
        assert primary.can_answer_now() and primary.renew_now(7) == 10
        with pytest.raises(LeaseNotFound):
            await primary.time_to_live(LeaseTimeToLiveRequest(ID=8))

        await tasks.close()
        assert failures == []
        backend.end_batch()
        backend.close()

    run(scenario())
