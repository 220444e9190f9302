"""A leader's snapshot in the place of our state: the order of its steps, and what a crash between any two leaves."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.pb.raft_values import HardState
from etcdpy.pb.rpc_pb2 import RangeRequest, RangeResponse
from etcdpy.server.effects import Write
from etcdpy.server.service import Service
from etcdpy.storage.schema import buckets
from etcdpy.storage.wal import valid_snapshot_entries
from tests.unit.embed.open_node import open_node
from tests.unit.server.cluster_scene import (
    ALARMED_ID,
    DOOMED_KEY,
    LEADER_TERM,
    LEASE_ID,
    Follower,
    LeaderSnapshot,
    later_entry,
    make_leader_snapshot,
)
from tests.unit.server.snapshot_scene import Scene, scene
from tests.unit.server.spine import run, until

STEPS = ["begun", "saved", "persisted", "persisted", "persisted", "released", "restored"]


@asynccontextmanager
async def following(directory: Path, *, puts: int = 2) -> AsyncIterator[tuple[Follower, LeaderSnapshot]]:
    """A member with a past of its own, and the snapshot that will replace it."""
    with scene(directory / "live" / "data") as play:
        await play.spine.elect()
        await play.put(puts)
        leader = await make_leader_snapshot(directory / "leader", joiner=play.spine.roster.get_members()[0])
        follower = Follower(play)
        play.spine.wal.on_step = play.note
        try:
            yield follower, leader
        finally:
            await follower.close()


def read(service: Service, key: bytes) -> list[bytes]:
    answer = service.range_now(RangeRequest(key=key))
    return [kv.value for kv in RangeResponse.FromString(answer.body).kvs]


def generations(play: Scene) -> int:
    return len([path for path in (play.spine.folders.member / "store").iterdir() if path.is_dir()])


def test_the_generation_comes_first_then_the_file_then_the_log_then_the_pointer(tmp_path: Path) -> None:
    """Until all of that is done nobody is told that we hold it."""

    async def scenario() -> None:
        async with following(tmp_path) as (follower, leader):
            play, spine = follower.play, follower.spine
            seen: list[tuple[str, int, bool, int]] = []

            def look(step: str) -> None:
                is_old = spine.backend.consistent_index < leader.snapshot.index
                seen.append((step, generations(play), is_old, follower.acknowledged()))

            before = generations(play)
            play.on_step = look
            await follower.receive(leader, entries=[later_entry(spine, leader.snapshot.index + 1)])
            await follower.wait_installed(leader)

            assert [step for step, _, _, _ in seen] == STEPS
            assert [count for _, count, _, _ in seen[:-1]] == [before + 1] * 6, "built before the first step"
            assert [is_old for _, _, is_old, _ in seen] == [True] * 6 + [False], "the pointer moves last"
            assert [index for _, _, _, index in seen] == [0] * 7
            assert follower.acknowledged() == leader.snapshot.index + 1
            noted = valid_snapshot_entries(str(spine.folders.wal))
            assert [record.index for record in noted] == [0, leader.snapshot.index]

    run(scenario())


def test_a_crash_between_any_two_steps_leaves_a_member_that_starts(tmp_path: Path) -> None:
    """With what it had, or with the snapshot; and in each case with everything that it had promised to hold."""
    copies: list[Path] = []
    promised: list[int] = []

    async def live() -> tuple[LeaderSnapshot, int, int]:
        async with following(tmp_path) as (follower, leader):
            spine = follower.spine
            had = spine.member.last_index, spine.store.current_revision

            def copy(step: str) -> None:
                target = tmp_path / f"{len(copies)}-{step}"
                subprocess.run(["cp", "-a", "--sparse=always", str(tmp_path / "live"), str(target)], check=True)
                copies.append(target)
                promised.append(follower.acknowledged())

            copy("begin")
            follower.play.on_step = copy
            await follower.receive(leader, entries=[later_entry(spine, leader.snapshot.index + 1)])
            await follower.wait_installed(leader)
            copy("end")
            return leader, *had

    async def restart(directory: Path) -> tuple[int, int, list[bytes]]:
        async with open_node(directory, elect=False) as (node, _):
            # What the log notes as committed is applied at once, without a leader.
            await until(lambda: node.member.applied_index == node.member.committed_index)
            values = read(node.service, b"of the leader")
            assert node.lessor.keys_of(LEASE_ID) == ([b"of the leader"] if values else [])
            assert node.store.current_revision >= (leader.revision if values else 1)
            return node.recovered.snapshot.index, node.member.last_index, values

    async def elect(directory: Path) -> int:
        async with open_node(directory) as (node, _):
            return node.store.current_revision

    leader, last_index, revision = run(live())
    found = [run(restart(directory)) for directory in copies]

    index = leader.snapshot.index
    as_before: tuple[int, int, list[bytes]] = (0, last_index, [])
    as_sent, with_entry = (index, index, [b"19"]), (index, index + 1, [b"19"])
    assert [path.name.partition("-")[2] for path in copies] == ["begin", *STEPS, "end"]
    # The log notes it as committed with the second record: from then on the store is built from the file again.
    assert found == [as_before] * 4 + [as_sent] + [with_entry] * 4
    assert promised == [0] * 8 + [index + 1]
    assert [run(elect(directory)) for directory in copies[:4]] == [revision] * 4, "it had been alone, and goes on so"


def test_a_snapshot_that_a_crash_left_half_noted_may_be_passed_by_the_log(tmp_path: Path) -> None:
    """The record without its commit: the member lives on as before, and its log may come to commit beyond it."""
    copies: list[Path] = []

    async def live() -> LeaderSnapshot:
        async with following(tmp_path) as (follower, leader):

            def copy(step: str) -> None:
                if step == "persisted" and not copies:
                    copies.append(tmp_path / "half")
                    subprocess.run(["cp", "-a", "--sparse=always", str(tmp_path / "live"), str(copies[0])], check=True)

            follower.play.on_step = copy
            await follower.receive(leader)
            await follower.wait_installed(leader)
            return leader

    async def grow(beyond: int) -> int:
        with scene(copies[0] / "data") as play:
            await play.spine.elect()
            await play.put(beyond + 5 - play.spine.member.applied_index)
            return play.spine.store.current_revision

    async def restart(revision: int) -> None:
        async with open_node(copies[0], elect=False) as (node, _):
            await until(lambda: node.member.applied_index == node.member.committed_index)
            assert node.store.current_revision == revision

    leader = run(live())
    revision = run(grow(leader.snapshot.index))
    run(restart(revision))


def test_the_state_is_that_of_the_snapshot_and_nothing_of_ours_is_left(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with following(tmp_path) as (follower, leader):
            spine = follower.spine
            service = spine.make_service()
            own_id = spine.recovered.member_id
            spine.lessor.grant(5, 600)
            spine.alarms.activate(own_id, 2)
            spine.backend.put(buckets.AUTH, b"buffered", b"x")
            assert read(service, b"k0") == [b"v"]
            await follower.receive(leader)
            await follower.wait_installed(leader)

            assert (read(service, b"k0"), read(service, b"of the leader")) == ([], [b"19"])
            assert spine.store.current_revision == leader.revision
            assert spine.backend.get(buckets.AUTH, b"buffered") is None
            assert spine.lessor.keys_of(LEASE_ID) == [b"of the leader"]
            assert len(spine.lessor) == 1
            assert [(one.memberID, one.alarm) for one in spine.alarms.list_alarms()] == [(ALARMED_ID, 1)]
            assert sorted(one.id for one in spine.roster.get_members()) == sorted([own_id, leader.leader_id])
            assert sorted(spine.member.conf_state.voters) == sorted([own_id, leader.leader_id])
            assert follower.play.keeper.last_index == leader.snapshot.index
            assert not follower.installer.is_installing

    run(scenario())


def test_entries_go_on_after_it_and_survive(tmp_path: Path) -> None:
    async def first() -> LeaderSnapshot:
        async with following(tmp_path) as (follower, leader):
            spine = follower.spine
            await follower.receive(leader)
            await follower.wait_installed(leader)
            assert read(spine.make_service(), DOOMED_KEY) == [b""]
            follower.append(leader, [later_entry(spine, leader.snapshot.index + n) for n in (1, 2)])
            await until(lambda: spine.member.applied_index == leader.snapshot.index + 2)
            await spine.wait_quiet()
            assert follower.acknowledged() == leader.snapshot.index + 2
            assert read(spine.make_service(), DOOMED_KEY) == []
            return leader

    async def second(leader: LeaderSnapshot) -> None:
        async with open_node(tmp_path / "live", elect=False) as (node, _):
            assert node.member.last_index == leader.snapshot.index + 2
            await until(lambda: node.member.applied_index == node.member.committed_index)
            assert (read(node.service, b"of the leader"), read(node.service, DOOMED_KEY)) == ([b"19"], [])

    leader = run(first())
    run(second(leader))


def test_a_damaged_file_fails_the_member_and_harms_nothing_that_it_has(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with following(tmp_path) as (follower, leader):
            leader.path.write_bytes(b"\0" * leader.path.stat().st_size)
            await follower.receive(leader)
            await until(lambda: follower.spine.driver.has_failed)

            (failure,) = follower.play.notes.failures
            assert isinstance(failure, StorageError) and "installation" in str(failure)
            assert (follower.restored, follower.acknowledged(), follower.play.steps) == (0, 0, [])

    async def restart() -> None:
        async with open_node(tmp_path / "live") as (node, _):
            assert node.member.is_leader and read(node.service, b"k1") == [b"v"]

    run(scenario())
    run(restart())


def test_a_full_disk_fails_the_member_before_it_promises_anything(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with following(tmp_path) as (follower, leader):
            follower.spine.wal.failing = True
            follower.spine.wal.on_step = lambda step: None
            follower.play.snapshotter.failing = True
            await follower.receive(leader)
            await until(lambda: follower.spine.driver.has_failed)

            assert [type(error) for error in follower.play.notes.failures] == [OSError]
            assert (follower.restored, follower.acknowledged()) == (0, 0)

    run(scenario())


@pytest.mark.parametrize("state", [None, HardState(LEADER_TERM, 0, 1)])
def test_a_snapshot_without_its_commit_is_refused_before_the_log_is_touched(
    tmp_path: Path, state: HardState | None
) -> None:
    async def scenario() -> None:
        async with following(tmp_path) as (follower, leader):
            path = Path(follower.play.snapshotter.db_file_path(leader.snapshot.index))
            path.write_bytes(leader.path.read_bytes())
            with pytest.raises(InvariantError, match="without the hard state"):
                await follower.installer.install(Write([], state, leader.snapshot, [], True))
            assert (follower.play.steps, follower.restored) == ([], 0)

    run(scenario())
