"""Leadership is handed over: on request, and before a stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.base.errors import BadLeaderTransferee, NotLeader
from etcdpy.server.leadership import TimeoutLeaderTransfer
from etcdpy.state.members import Member
from tests.unit.server.membership_world import learner, open_world, voter
from tests.unit.server.spine import run

THREE = [voter(1), voter(2), voter(3), learner(4)]


def test_a_voter_takes_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, THREE) as world:
            await world.leadership.move_leader(3)

            assert world.transfers == [3] and world.leader_id == 3
            started, finished = world.log
            assert started == {
                "level": "info",
                "msg": "leadership transfer starting",
                "local-member-id": "1",
                "current-leader-member-id": "1",
                "transferee-member-id": "3",
            }
            assert finished.pop("took")
            assert finished == {
                "level": "info",
                "msg": "leadership transfer finished",
                "local-member-id": "1",
                "old-leader-member-id": "1",
                "new-leader-member-id": "3",
            }

    run(scenario())


@pytest.mark.parametrize("transferee", [0, 9, 4])
def test_only_a_voter_can(tmp_path: Path, transferee: int) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, THREE) as world:
            with pytest.raises(BadLeaderTransferee):
                await world.leadership.move_leader(transferee)
            assert not world.transfers

    run(scenario())


def test_only_from_the_leader(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, THREE) as world:
            world.is_leader = False
            with pytest.raises(NotLeader):
                await world.leadership.move_leader(9)

    run(scenario())


@pytest.mark.parametrize("is_clients_patience", [True, False])
def test_nobody_waits_for_ever(tmp_path: Path, is_clients_patience: bool) -> None:
    """The code on the wire is Unknown, as with every text that etcd does not map."""

    async def scenario() -> None:
        timeout_seconds = 1000.0 if is_clients_patience else 0.01
        async with open_world(tmp_path, THREE, timeout_seconds=timeout_seconds) as world:
            world.transfer_succeeds = False
            deadline = world.leadership._loop.time() + 0.01 if is_clients_patience else None
            with pytest.raises(TimeoutLeaderTransfer) as caught:
                await world.leadership.move_leader(2, deadline=deadline)

            expected = "etcdserver: request timed out, leader transfer took too long"
            assert (caught.value.code, caught.value.text) == (2, expected)

    run(scenario())


@pytest.mark.parametrize(
    ("members", "is_leader", "connected", "transfers", "message"),
    [
        (THREE, True, {2: 5.0, 3: 9.0, 4: 99.0}, [3], "leadership transfer finished"),
        (THREE, True, {2: 5.0}, [2], "leadership transfer finished"),
        (THREE, True, {4: 99.0}, [], "leadership transfer failed"),
        (THREE, False, {2: 5.0}, [], "skipped leadership transfer; local server is not leader"),
        (
            [voter(1), learner(4)],
            True,
            {4: 5.0},
            [],
            "skipped leadership transfer for single voting member cluster",
        ),
    ],
)
def test_a_leader_that_stops_leaves_the_longest_connected_voter_in_charge(
    tmp_path: Path,
    members: list[Member],
    is_leader: bool,
    connected: dict[int, float],
    transfers: list[int],
    message: str,
) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, members) as world:
            world.is_leader = is_leader
            world.connected = connected
            await world.leadership.try_transfer_leadership()

            assert world.transfers == transfers and world.messages[-1] == message

    run(scenario())


def test_a_transfer_that_fails_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_world(tmp_path, THREE, timeout_seconds=0.01) as world:
            world.transfer_succeeds = False
            world.connected = {2: 60.0}
            await world.leadership.try_transfer_leadership()

            assert world.log[-1] == {
                "level": "warn",
                "msg": "leadership transfer failed",
                "local-member-id": "1",
                "error": "etcdserver: request timed out, leader transfer took too long",
            }

    run(scenario())
