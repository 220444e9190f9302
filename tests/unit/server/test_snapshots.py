"""Snapshots of the log: the order in which they reach the disk, and what a crash between any two steps leaves."""

from __future__ import annotations

import subprocess
from pathlib import Path

from etcdpy.pb.raft_values import ConfState, Entry, Snapshot
from etcdpy.server.snapshots import SHORTEN_ENTRIES_MIN
from etcdpy.storage.snap import Snapshotter
from etcdpy.storage.wal import valid_snapshot_entries
from tests.unit.server.snapshot_scene import SNAPSHOT_COUNT, scene
from tests.unit.server.spine import run, until


def test_a_snapshot_is_due_after_so_many_entries_and_not_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        with scene(tmp_path) as play:
            await play.spine.elect()
            await play.put(SNAPSHOT_COUNT - play.spine.member.applied_index)
            await play.take_snapshot()
            assert play.snap_indexes() == []
            await play.put(1)
            await play.take_snapshot()

            assert play.snap_indexes() == [SNAPSHOT_COUNT + 1]
            play.consider()
            await play.finish()
            assert play.snap_indexes() == [SNAPSHOT_COUNT + 1], "not due again"

    run(scenario())


def test_the_store_comes_first_then_the_file_then_the_commit_then_the_record(tmp_path: Path) -> None:
    async def scenario() -> None:
        with scene(tmp_path) as play:
            await play.spine.elect()
            await play.put(SNAPSHOT_COUNT)
            index = play.spine.member.applied_index
            store_at: list[int] = []
            play.on_step = lambda step: store_at.append(play.spine.backend.committed_index)
            play.spine.wal.on_step = play.note
            assert play.spine.backend.committed_index < index
            await play.take_snapshot()

            assert play.steps == ["begun", "saved", "persisted", "persisted", "released"]
            assert all(committed >= index for committed in store_at)
            noted = valid_snapshot_entries(str(play.spine.folders.wal))
            assert [record.index for record in noted] == [0, index]

    run(scenario())


def test_a_crash_between_any_two_steps_leaves_a_member_that_starts(tmp_path: Path) -> None:
    """The folder is copied at each step, and each copy brought to life: nothing is lost, nothing twice."""
    copies: list[Path] = []

    def copy(step: str) -> None:
        target = tmp_path / f"{len(copies)}-{step}"
        subprocess.run(["cp", "-a", "--sparse=always", str(tmp_path / "live"), str(target)], check=True)
        copies.append(target)

    async def live() -> tuple[int, int]:
        with scene(tmp_path / "live") as play:
            await play.spine.elect()
            await play.put(SNAPSHOT_COUNT + 2)
            play.on_step = copy
            play.spine.wal.on_step = play.note
            index = await play.take_snapshot()
            return index, play.spine.store.current_revision

    async def restart(directory: Path) -> tuple[int, int]:
        with scene(directory) as play:
            recovered = play.spine.recovered
            await play.spine.elect()
            assert [member.id for member in play.spine.roster.get_members()] == [recovered.member_id]
            revision = play.spine.store.current_revision
            await play.put(1)
            assert len(play.notes.values) == 1, "it takes writes"
            return recovered.snapshot.index, revision

    index, revision = run(live())
    found = [run(restart(directory)) for directory in copies]

    assert [path.name for path in copies] == ["0-begun", "1-saved", "2-persisted", "3-persisted", "4-released"]
    assert [revision_found for _, revision_found in found] == [revision] * 5
    assert [snapshot for snapshot, _ in found] == [0, 0, 0, index, index], "it counts from its record on"


def test_an_orphan_of_a_crash_is_written_again_by_the_next_life(tmp_path: Path) -> None:
    async def first() -> None:
        with scene(tmp_path) as play:
            await play.spine.elect()
            await play.put(SNAPSHOT_COUNT)
            index, term = play.spine.member.applied_index, play.spine.applier.term
            Snapshotter(str(play.spine.folders.snap)).save(
                Snapshot(play.spine.recovered.v2store.save(), index, term, play.spine.conf_state)
            )

    async def second() -> None:
        with scene(tmp_path) as play:
            assert play.spine.recovered.snapshot.is_empty()
            await play.spine.elect()
            await play.put(1)
            index = await play.take_snapshot()
            assert index in play.snap_indexes() and play.failures == []

    run(first())
    run(second())


def test_the_log_in_memory_keeps_some_entries_for_followers_that_lag(tmp_path: Path) -> None:
    async def scenario() -> None:
        with scene(tmp_path, catchup_entries=3) as play:
            await play.spine.elect()
            await play.put(SNAPSHOT_COUNT)
            index = await play.take_snapshot()

            assert play.spine.raft_storage.snapshot().index == index
            assert play.spine.raft_storage.first_index() == index - 3 + 1
            assert play.spine.raft_storage.snapshot().conf_state == ConfState([play.spine.recovered.member_id])

    run(scenario())


def test_more_catchup_than_log_keeps_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        with scene(tmp_path, catchup_entries=1000) as play:
            await play.spine.elect()
            await play.put(SNAPSHOT_COUNT)
            await play.take_snapshot()

            assert play.spine.raft_storage.first_index() == 1

    run(scenario())


def test_one_snapshot_at_a_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        with scene(tmp_path) as play:
            await play.spine.elect()
            await play.put(SNAPSHOT_COUNT)
            play.consider()
            first = play.spine.member.applied_index
            await play.put(SNAPSHOT_COUNT + 1)
            play.consider()
            await play.finish()
            assert play.snap_indexes() == [first]
            second = await play.take_snapshot()

            assert play.snap_indexes() == [first, second]

    run(scenario())


def test_what_was_applied_after_the_freeze_is_not_in_the_snapshot(tmp_path: Path) -> None:
    async def scenario() -> None:
        with scene(tmp_path) as play:
            await play.spine.elect()
            play.spine.recovered.v2store.set("/1/key", "at the freeze")
            await play.put(SNAPSHOT_COUNT)
            play.consider()
            play.spine.recovered.v2store.set("/1/key", "later")
            await play.finish()

            snapshot = play.snapshotter.load_newest()
            assert snapshot is not None and b"at the freeze" in snapshot.data and b"later" not in snapshot.data

    run(scenario())


def test_a_full_disk_ends_the_member(tmp_path: Path) -> None:
    async def scenario() -> None:
        with scene(tmp_path) as play:
            await play.spine.elect()
            await play.put(SNAPSHOT_COUNT)
            play.snapshotter.failing = True
            play.consider()
            await play.finish()

            assert [type(error) for error in play.failures] == [OSError]
            assert [record.index for record in valid_snapshot_entries(str(play.spine.folders.wal))] == [0]

    run(scenario())


def test_old_files_are_purged(tmp_path: Path) -> None:
    async def scenario() -> None:
        with scene(tmp_path, max_snapshots=2) as play:
            await play.spine.elect()
            taken = []
            for _ in range(4):
                await play.put(SNAPSHOT_COUNT + 1)
                taken.append(await play.take_snapshot())
            assert play.snap_indexes() == taken
            play.keeper.purge()
            await until(lambda: play.spine.disk.is_idle)

            assert play.snap_indexes() == taken[2:] and play.failures == []
            assert len(list(play.spine.folders.wal.glob("*.wal"))) == 1

    run(scenario())


def test_zero_keeps_all_files(tmp_path: Path) -> None:
    async def scenario() -> None:
        with scene(tmp_path, max_snapshots=0) as play:
            await play.spine.elect()
            for _ in range(3):
                await play.put(SNAPSHOT_COUNT + 1)
                await play.take_snapshot()
            play.keeper.purge()
            await until(lambda: play.spine.disk.is_idle)

            assert len(play.snap_indexes()) == 3

    run(scenario())


def test_a_member_alone_forgets_entries_in_memory_long_before_the_snapshot(tmp_path: Path) -> None:
    """Nobody lags behind who is not there. With a learner, somebody may."""

    async def scenario() -> None:
        with scene(tmp_path, catchup_entries=5) as play:
            await play.spine.elect()
            term, last = play.spine.applier.term, play.spine.raft_storage.last_index()
            storage = play.spine.raft_storage
            storage.append([Entry(term, index) for index in range(last + 1, SHORTEN_ENTRIES_MIN + 100)])
            applied = storage.last_index()
            play.keeper._last_index = applied  # no snapshot is due
            play.keeper.consider(applied, term, ConfState([1], learners=[2]))
            play.keeper.consider(applied, term, ConfState([1, 2]))
            assert storage.first_index() == 1
            play.keeper.consider(applied, term, ConfState([1]))

            assert storage.first_index() == applied - 5 + 1

    run(scenario())
