"""Changes of the membership: what is checked before, what is proposed, and who is told what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from etcdpy.base.errors import (
    EtcdError,
    LearnerNotReady,
    MemberNotEnoughStarted,
    MemberNotFound,
    MemberNotLearner,
    NotLeader,
    PeerURLExist,
    Stopped,
    Timeout,
    TimeoutWaitAppliedIndex,
    Unhealthy,
)
from etcdpy.base.ids import compute_member_id
from etcdpy.pb import raft_pb2
from etcdpy.server import reconfiguration as module
from etcdpy.server.timeouts import NeverProposed
from etcdpy.state.members import Member
from tests.unit.server.membership_world import WALL_SECONDS, World, learner, open_world, voter
from tests.unit.server.spine import run, until

NEW_URLS = ("http://n:2", "http://n:1")
NEW_ID = compute_member_id(NEW_URLS, "", int(WALL_SECONDS))
THREE = [voter(1), voter(2), voter(3)]

Request = Callable[[World], Awaitable[object]]


def add(world: World) -> Awaitable[object]:
    return world.reconfiguration.add_member(NEW_URLS, is_learner=False)


def add_learner(world: World) -> Awaitable[object]:
    return world.reconfiguration.add_member(NEW_URLS, is_learner=True)


def remove(member_id: int) -> Request:
    return lambda world: world.reconfiguration.remove_member(member_id)


def promote(member_id: int) -> Request:
    return lambda world: world.reconfiguration.promote_member(member_id)


def refused(
    directory: Path,
    members: list[Member],
    request: Request,
    *,
    connected: dict[int, float] | None = None,
    is_strict: bool = True,
) -> tuple[type[EtcdError] | None, World]:
    """Return why the request is refused, or None; a refused one must not have been proposed."""

    async def scenario() -> tuple[type[EtcdError] | None, World]:
        async with open_world(directory, members, is_strict=is_strict) as world:
            world.connected = connected or {}
            try:
                await request(world)
            except EtcdError as error:
                assert not world.proposed
                return type(error), world
            assert len(world.proposed) == 1
            return None, world

    return run(scenario())


# -- through the log


def test_a_newcomers_id_comes_of_its_urls_and_the_second(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, [voter(1)]) as world:
            newcomer, members = await world.reconfiguration.add_member(NEW_URLS, is_learner=True)

            assert newcomer.id == NEW_ID
            assert newcomer == Member(id=newcomer.id, peer_urls=("http://n:1", "http://n:2"), is_learner=True)
            assert set(members) == {voter(1), newcomer} and world.roster.find_member(newcomer.id) == newcomer
            assert world.proposed[0].type == raft_pb2.ConfChangeAddLearnerNode and world.proposed[0].id
            assert world.log[-1] == {
                "level": "info",
                "msg": "applied a configuration change through raft",
                "local-member-id": "1",
                "raft-conf-change": "ConfChangeAddLearnerNode",
                "raft-conf-change-node-id": f"{newcomer.id:x}",
            }

    run(scenario())


def test_urls_are_updated_and_members_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, [voter(1), learner(2)]) as world:
            members = await world.reconfiguration.update_member(2, NEW_URLS)
            assert members[1].peer_urls == NEW_URLS and members[1].is_learner

            assert await world.reconfiguration.remove_member(2) == (voter(1),)

    run(scenario())


def test_what_apply_refuses_is_told_to_the_proposer_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, [voter(1), learner(2)]) as world:
            world.applies_at_once = False
            mine = asyncio.ensure_future(world.reconfiguration.update_member(2, ["http://m:1"]))
            others = asyncio.ensure_future(world.reconfiguration.update_member(2, NEW_URLS))
            await until(lambda: len(world.proposed) == 2)
            world.apply(world.proposed[0])
            with pytest.raises(PeerURLExist):
                await mine
            assert not others.done()
            world.apply(raft_pb2.ConfChange(id=77, type=raft_pb2.ConfChangeRemoveNode, node_id=99))  # another member's
            assert not others.done()
            world.apply(world.proposed[1])

            assert (await others)[1].peer_urls == NEW_URLS
            assert world.proposed[0].id != world.proposed[1].id

    run(scenario())


def test_a_change_that_never_comes_back_times_out_and_is_forgotten(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, [voter(1), learner(2)], timeout_seconds=0.01) as world:
            world.applies_at_once = False
            with pytest.raises(Timeout):
                await world.reconfiguration.remove_member(2)
            world.apply(world.proposed[0])  # too late for its proposer, but not for the cluster

            assert world.roster.find_member(2) is None and not world.reconfiguration._waiting
            assert "applied a configuration change through raft" not in world.messages

    run(scenario())


def test_a_change_that_no_leader_took_is_taken_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, [voter(1), learner(2)], timeout_seconds=0.01) as world:
            world.applies_at_once = world.has_leader = False
            with pytest.raises(NeverProposed):
                await world.reconfiguration.update_member(2, ["http://m:9"])

            assert world.taken_back == world.proposed and len(world.proposed) == 1

    run(scenario())


def test_a_stop_is_told_to_everybody_who_waits_or_comes_later(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, [voter(1), learner(2)]) as world:
            world.applies_at_once = False
            waiting = asyncio.ensure_future(world.reconfiguration.remove_member(2))
            await until(lambda: bool(world.proposed))
            world.reconfiguration.stop()
            with pytest.raises(Stopped):
                await waiting
            with pytest.raises(Stopped):
                await world.reconfiguration.remove_member(2)

            assert len(world.proposed) == 1

    run(scenario())


def test_there_is_an_end_to_how_many_may_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_CHANGES_MAX", 1)

    async def scenario() -> None:
        async with open_world(tmp_path, [voter(1), learner(2)]) as world:
            world.applies_at_once = False
            waiting = asyncio.ensure_future(world.reconfiguration.remove_member(2))
            await until(lambda: bool(world.proposed))
            with pytest.raises(EtcdError, match="too many requests"):
                await world.reconfiguration.remove_member(2)
            world.apply(world.proposed[0])
            await waiting

    run(scenario())


# -- strict checks


@pytest.mark.parametrize(
    ("members", "request_", "connected", "refusal"),
    [
        ([voter(1)], add, {}, None),
        ([voter(1), voter(2, name="")], add, {2: 60}, MemberNotEnoughStarted),
        ([voter(1), voter(2, name="")], add_learner, {2: 60}, None),
        ([voter(1), voter(2)], add, {2: 60}, None),
        ([voter(1), voter(2)], add, {}, Unhealthy),
        ([voter(1), voter(2)], add, {2: 1}, Unhealthy),
        ([voter(1), voter(2)], add_learner, {2: 1}, Unhealthy),
        (THREE, add, {2: 60, 3: 60}, None),
        (THREE, add, {2: 60}, Unhealthy),
        ([*THREE, voter(4)], add, {2: 60, 3: 60}, None),
        (THREE, remove(3), {2: 60, 3: 60}, None),
        (THREE, remove(1), {2: 60, 3: 60}, None),
        (THREE, remove(1), {2: 60}, Unhealthy),
        (THREE, remove(2), {2: 60}, Unhealthy),
        (THREE, remove(3), {2: 60}, None),  # it is down: nothing is lost with it
        ([voter(1), voter(2), voter(3, name="")], remove(2), {2: 60, 3: 60}, MemberNotEnoughStarted),
        ([voter(1), learner(2)], remove(2), {}, None),
        ([voter(1), learner(2)], remove(1), {}, MemberNotEnoughStarted),
    ],
)
def test_a_change_may_not_cost_the_quorum(
    tmp_path: Path,
    members: list[Member],
    request_: Request,
    connected: dict[int, float],
    refusal: type[EtcdError] | None,
) -> None:
    assert refused(tmp_path, members, request_, connected=connected)[0] is refusal


@pytest.mark.parametrize("request_", [add, remove(2), remove(1)])
def test_whoever_does_not_want_the_checks_is_not_held_up(tmp_path: Path, request_: Request) -> None:
    members = [voter(1), voter(2, name=""), voter(3, name="")]

    assert refused(tmp_path, members, request_, is_strict=False)[0] is None


def test_nobody_removes_the_last_voter(tmp_path: Path) -> None:
    """Upstream obeys where the checks are off, and every member panics at every start from then on."""
    assert refused(tmp_path, [voter(1), learner(2)], remove(1), is_strict=False)[0] is MemberNotEnoughStarted


@pytest.mark.parametrize(
    ("members", "request_", "connected", "lines"),
    [
        (
            [voter(1), voter(2, name="")],
            add,
            {},
            [
                {
                    "msg": "rejecting member add; started member will be less than quorum",
                    "number-of-started-member": 1,
                    "quorum": 2,
                    "cluster-id": "c",
                    "local-member-id": "1",
                },
                {
                    "msg": "rejecting member add request; not enough healthy members",
                    "local-member-id": "1",
                    "requested-member-add": f"{{ID:{NEW_ID:x} RaftAttributes:{{PeerURLs:[http://n:1 http://n:2] "
                    "IsLearner:false} Attributes:{Name: ClientURLs:[]}}",
                    "error": "etcdserver: re-configuration failed due to not enough started members",
                },
            ],
        ),
        (
            [voter(1)],
            remove(1),
            {},
            [
                {
                    "msg": "rejecting member remove; started member will be less than quorum",
                    "number-of-started-member": 0,
                    "quorum": 1,
                    "cluster-id": "c",
                    "local-member-id": "1",
                },
                {
                    "msg": "rejecting member remove request; not enough healthy members",
                    "local-member-id": "1",
                    "requested-member-remove-id": "1",
                    "error": "etcdserver: re-configuration failed due to not enough started members",
                },
            ],
        ),
        (
            THREE,
            remove(2),
            {2: 60},
            [
                {
                    "msg": "rejecting member remove request; local member has not been connected to all peers, "
                    "reconfigure breaks active quorum",
                    "local-member-id": "1",
                    "requested-member-remove": "2",
                    "active-peers": 2,
                    "error": "etcdserver: unhealthy cluster",
                },
            ],
        ),
    ],
)
def test_the_log_says_why(
    tmp_path: Path,
    members: list[Member],
    request_: Request,
    connected: dict[int, float],
    lines: list[dict[str, object]],
) -> None:
    _, world = refused(tmp_path, members, request_, connected=connected)

    assert world.log == [{"level": "warn"} | line for line in lines]


# -- promotion


@pytest.mark.parametrize(("match", "refusal"), [(0, LearnerNotReady), (89, LearnerNotReady), (90, None), (100, None)])
def test_a_learner_is_ready_with_nine_tenths_of_the_log(
    tmp_path: Path, match: int, refusal: type[EtcdError] | None
) -> None:
    def request(world: World) -> Awaitable[object]:
        world.progress = {1: 100, 2: match}
        return world.reconfiguration.promote_member(2)

    assert refused(tmp_path, [voter(1), learner(2)], request)[0] is refusal


def test_a_promoted_learner_is_a_voter(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, [voter(1), learner(2)]) as world:
            world.progress[2] = 100
            members = await world.reconfiguration.promote_member(2)
            assert [member.is_learner for member in members] == [False, False]
            with pytest.raises(MemberNotLearner):
                await world.reconfiguration.promote_member(2)
            with pytest.raises(MemberNotFound):
                await world.reconfiguration.promote_member(9)

            assert world.reconfiguration.promotions_succeeded == 1
            assert world.reconfiguration.promotions_failed == {MemberNotLearner.text: 1, MemberNotFound.text: 1}

    run(scenario())


def test_a_promotion_may_not_cost_the_quorum(tmp_path: Path) -> None:
    members = [voter(1), voter(2, name=""), voter(3, name=""), voter(4, name=""), learner(5)]

    def request(world: World) -> Awaitable[object]:
        world.progress = {1: 100, 5: 100}
        return world.reconfiguration.promote_member(5)

    refusal, world = refused(tmp_path, members, request)
    assert refusal is MemberNotEnoughStarted
    assert world.messages == [
        "rejecting member promote; started member will be less than quorum",
        "rejecting member promote request; not enough healthy members",
    ]


def test_who_does_not_lead_asks_the_leader(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, [voter(1), voter(2), learner(3)]) as world:
            world.progress = {}
            with pytest.raises(NotLeader):
                await world.reconfiguration.promote_member(3)
            asked: list[int] = []

            async def forward(member_id: int) -> tuple[Member, ...]:
                asked.append(member_id)
                return (voter(3),)

            world.reconfiguration.forward_promotion = forward
            assert await world.reconfiguration.promote_member(3) == (voter(3),)
            with pytest.raises(NotLeader):
                await world.reconfiguration.promote_as_leader(3)

            assert asked == [3] and not world.proposed

    run(scenario())


def test_readiness_is_judged_when_everything_committed_is_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, [voter(1), learner(2)]) as world:
            world.progress[2] = 100
            world.applied_index = 99
            waiting = asyncio.ensure_future(world.reconfiguration.promote_member(2))
            await asyncio.sleep(0)
            assert not world.proposed
            world.applied_index = 100
            await waiting
            world.applied_index = 99
            monkeypatch.setattr(module, "APPLY_SECONDS_MAX", 0.01)
            with pytest.raises(TimeoutWaitAppliedIndex):
                await world.reconfiguration.promote_member(2)

    run(scenario())
