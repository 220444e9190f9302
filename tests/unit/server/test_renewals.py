"""Renewing leases wherever the leader is. The leader elsewhere is a real HTTP server with real routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from etcdpy.api.ops.app import application
from etcdpy.api.ops.peer_leases import Leases, lease_routes
from etcdpy.base.errors import EtcdError, LeaderChanged, LeaseNotFound, NoLeader, Timeout, TimeoutWaitAppliedIndex
from etcdpy.pb.rpc_pb2 import LeaseTimeToLiveRequest, LeaseTimeToLiveResponse
from etcdpy.server.catching_up import CatchingUp
from etcdpy.server.lease_forwarding import LeaderIsHere, LeaseForwarding
from etcdpy.server.lease_primary import LeasePrimary
from etcdpy.server.mandate import Mandate
from etcdpy.server.renewals import ForwardingRenewer
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.lease.lessor import Lessor, NotPrimary
from etcdpy.storage.backend import Backend
from etcdpy.transport.http1 import HttpServer
from etcdpy.transport.peer_http import fetch
from tests.unit.server.spine import run, until

BRIEF_SECONDS = 0.3
LONG_SECONDS = 15.0


class View:
    """Who leads is what the test says."""

    def __init__(self) -> None:
        self.is_leader = False
        self.leader_id = 0
        self.urls: list[str] = []
        self.term = 5
        self.committed_index = 0
        self.applied_index = 0

    def leader_peer_urls(self) -> list[str]:
        return self.urls


class DistantLeases:
    """The leader's leases, as far as its routes ask for them."""

    def __init__(self) -> None:
        self.results: list[int | EtcdError] = []
        self.asked: list[int] = []

    async def renew(self, lease_id: int) -> int:
        self.asked.append(lease_id)
        result = self.results.pop(0) if self.results else 60
        if isinstance(result, EtcdError):
            raise result
        return result

    async def time_to_live(self, request: LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse:
        ttl = await self.renew(request.ID)
        keys = [b"a", b"b"] if request.keys else []
        return LeaseTimeToLiveResponse(ID=request.ID, TTL=ttl, grantedTTL=99, keys=keys)


class Scene:
    """One member and its view of the cluster."""

    def __init__(self, directory: Path, timeout_seconds: float = LONG_SECONDS) -> None:
        loop = asyncio.get_running_loop()
        self.view = View()
        self.failures: list[BaseException] = []
        self.tasks = TaskOwner(self.failures.append)
        self.backend = Backend.open(directory)
        self.lessor = Lessor(self.backend, ttl_seconds_min=2)
        self.confirmations = 0
        self.confirm_error: EtcdError | None = None
        mandate = Mandate(
            self.view, confirm=self._confirm, clock=loop.time, fresh_seconds=LONG_SECONDS, tasks=self.tasks
        )
        primary = LeasePrimary(self.lessor, mandate, CatchingUp(self.view), loop.time)
        forwarding = LeaseForwarding(self.view, fetch, clock=loop.time, timeout_seconds=timeout_seconds)
        self.renewer = ForwardingRenewer(self.view, primary, forwarding, self.tasks)

    async def _confirm(self) -> None:
        self.confirmations += 1
        await asyncio.sleep(0)
        if self.confirm_error is not None:
            raise self.confirm_error

    def lead(self) -> None:
        self.view.is_leader = True
        self.lessor.promote(asyncio.get_running_loop().time(), 1.0)

    async def renew(self, lease_id: int) -> int | EtcdError:
        answers: list[int | EtcdError] = []
        self.renewer.renew(lease_id, answers.append)
        await until(lambda: bool(answers))
        return answers[0]


@asynccontextmanager
async def scene(directory: Path, timeout_seconds: float = LONG_SECONDS) -> AsyncIterator[Scene]:
    play = Scene(directory, timeout_seconds)
    yield play
    await play.tasks.close()
    assert play.failures == []
    play.backend.end_batch()
    play.backend.close()


@asynccontextmanager
async def leader(leases: Leases) -> AsyncIterator[str]:
    """A peer port with the lease routes, and nothing else."""
    loop = asyncio.get_running_loop()
    http = HttpServer(application(lease_routes(leases)), loop=loop)
    server = await loop.create_server(http.connection, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        http.abort()
        await server.wait_closed()


def play(directory: Path, act: Callable[[Scene, DistantLeases], object], timeout_seconds: float = LONG_SECONDS) -> None:
    async def scenario() -> None:
        leases = DistantLeases()
        async with scene(directory, timeout_seconds) as stage, leader(leases) as url:
            stage.view.leader_id = 9
            stage.view.urls = [url]
            await act(stage, leases)  # type: ignore[misc]

    run(scenario())


# -- here


def test_a_leader_that_is_certain_answers_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with scene(tmp_path) as stage:
            stage.lead()
            stage.lessor.grant(7, 10)
            assert await stage.renew(7) == 10, "the first one waits until a majority has confirmed us"
            answers: list[int | EtcdError] = []
            stage.renewer.renew(7, answers.append)
            stage.renewer.renew(8, answers.append)

            assert answers == [10, LeaseNotFound()]
            assert stage.confirmations == 1

    run(scenario())


def test_a_leader_that_nobody_confirms_renews_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with scene(tmp_path) as stage:
            stage.lead()
            stage.lessor.grant(7, 10)
            stage.confirm_error = Timeout()

            assert isinstance(await stage.renew(7), NotPrimary)
            assert stage.lessor.renewed_count == 0

    run(scenario())


def test_a_lease_is_not_missed_while_its_grant_waits_to_be_applied(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with scene(tmp_path) as stage:
            stage.lead()
            stage.lessor.grant(7, 10)
            await stage.renew(7)
            stage.view.committed_index = 3
            answers: list[int | EtcdError] = []
            stage.renewer.renew(8, answers.append)
            assert answers == []
            assert isinstance(await stage.renew(7), TimeoutWaitAppliedIndex)

    run(scenario())


# -- elsewhere


def test_the_leader_is_asked(tmp_path: Path) -> None:
    async def act(stage: Scene, leases: DistantLeases) -> None:
        assert await stage.renew(7) == 60
        assert await stage.renew(-4) == 60
        assert leases.asked == [7, -4]

    play(tmp_path, act)


def test_what_the_leader_does_not_have_is_not_there(tmp_path: Path) -> None:
    async def act(stage: Scene, leases: DistantLeases) -> None:
        leases.results = [LeaseNotFound()]

        assert isinstance(await stage.renew(7), LeaseNotFound)
        assert leases.asked == [7], "which is an answer: nobody else is asked"

    play(tmp_path, act)


@pytest.mark.parametrize("refusal", [NotPrimary(), TimeoutWaitAppliedIndex()])
def test_who_cannot_tell_is_asked_again(tmp_path: Path, refusal: EtcdError) -> None:
    async def act(stage: Scene, leases: DistantLeases) -> None:
        leases.results = [refusal, refusal, 33]

        assert await stage.renew(7) == 33
        assert leases.asked == [7, 7, 7]

    play(tmp_path, act)


def test_of_several_urls_one_is_enough(tmp_path: Path) -> None:
    async def act(stage: Scene, leases: DistantLeases) -> None:
        stage.view.urls.insert(0, "http://127.0.0.1:1")

        assert await stage.renew(7) == 60

    play(tmp_path, act)


def test_a_renewal_waits_for_a_leader(tmp_path: Path) -> None:
    async def act(stage: Scene, leases: DistantLeases) -> None:
        urls, stage.view.urls = stage.view.urls, []
        answers: list[int | EtcdError] = []
        stage.renewer.renew(7, answers.append)
        for _ in range(5):
            await asyncio.sleep(0)
        assert answers == []
        stage.view.urls = urls
        await until(lambda: bool(answers))

        assert answers == [60]

    play(tmp_path, act)


def test_without_a_leader_the_time_runs_out(tmp_path: Path) -> None:
    async def act(stage: Scene, leases: DistantLeases) -> None:
        stage.view.urls = []

        assert isinstance(await stage.renew(7), NoLeader)

    play(tmp_path, act, BRIEF_SECONDS)


def test_with_a_leader_that_never_answers_too(tmp_path: Path) -> None:
    async def act(stage: Scene, leases: DistantLeases) -> None:
        stage.view.urls = ["http://127.0.0.1:1"]
        error = await stage.renew(7)

        assert isinstance(error, Timeout) and error.text == "etcdserver: request timed out"

    play(tmp_path, act, BRIEF_SECONDS)


def test_who_becomes_the_leader_while_waiting_answers(tmp_path: Path) -> None:
    async def act(stage: Scene, leases: DistantLeases) -> None:
        stage.view.urls = []
        answers: list[int | EtcdError] = []
        stage.renewer.renew(7, answers.append)
        await asyncio.sleep(0)
        stage.lead()
        stage.lessor.grant(7, 10)
        await until(lambda: bool(answers))

        assert answers == [10]

    play(tmp_path, act)


def test_who_loses_the_lead_while_waiting_asks_the_successor(tmp_path: Path) -> None:
    async def act(stage: Scene, leases: DistantLeases) -> None:
        stage.lead()
        answers: list[int | EtcdError] = []
        stage.renewer.renew(7, answers.append)
        stage.view.is_leader = False
        stage.view.term += 1
        await until(lambda: bool(answers))

        assert answers == [60]

    play(tmp_path, act)


def test_what_a_lease_has_left_and_its_keys(tmp_path: Path) -> None:
    async def act(stage: Scene, leases: DistantLeases) -> None:
        leases.results = [41, LeaseNotFound()]
        request = LeaseTimeToLiveRequest(ID=7, keys=True)
        described = await stage.renewer.time_to_live(request)

        assert described == LeaseTimeToLiveResponse(ID=7, TTL=41, grantedTTL=99, keys=[b"a", b"b"])
        with pytest.raises(LeaseNotFound):
            await stage.renewer.time_to_live(request)

    play(tmp_path, act)


def test_the_own_leases_are_described_here(tmp_path: Path) -> None:
    async def act(stage: Scene, leases: DistantLeases) -> None:
        stage.lead()
        stage.lessor.grant(7, 10)

        assert (await stage.renewer.time_to_live(LeaseTimeToLiveRequest(ID=7))).grantedTTL == 10
        with pytest.raises(LeaseNotFound):
            await stage.renewer.time_to_live(LeaseTimeToLiveRequest(ID=8))
        assert leases.asked == []

    play(tmp_path, act)


class NeverThere(LeaseForwarding):
    """Whenever the leader is looked for, it is this member; whenever it is asked, it is not."""

    async def renew(self, lease_id: int) -> int:
        raise LeaderIsHere


def test_a_lead_that_keeps_moving_is_an_error_of_its_own(tmp_path: Path) -> None:
    async def act(stage: Scene, leases: DistantLeases) -> None:
        stage.renewer._forwarding = NeverThere(stage.view, fetch, clock=lambda: 0.0, timeout_seconds=1.0)

        assert isinstance(await stage.renew(7), LeaderChanged)

    play(tmp_path, act)
