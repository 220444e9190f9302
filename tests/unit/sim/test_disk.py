"""Disks: what a crash leaves, and what the next life finds."""

from __future__ import annotations

import random

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ConfState, Entry, HardState, Snapshot
from etcdpy.server.effects import Write
from etcdpy.sim.clock import ProcessKilled, ProcessLoop, Schedule
from etcdpy.sim.disk import Disk, DiskQueue, VirtualSnapshotter, VirtualWal, fresh_disk
from etcdpy.sim.faults import NO_FAULTS, Faults
from etcdpy.storage.wal import WalSnapshot

STATE = HardState(1, 0, 1)


def make_wal(disk: Disk, faults: Faults = NO_FAULTS) -> VirtualWal:
    contents = disk.replay(disk.find_start())
    return VirtualWal(disk, contents, len(contents.entries), faults)


def make_disk() -> Disk:
    return fresh_disk([Entry(1, 1, 0, b"a")], STATE)


def test_what_was_synced_survives_a_power_cut() -> None:
    disk = make_disk()
    wal = make_wal(disk)
    wal.persist(wal.encode([Entry(1, 2, 0, b"b")], HardState(1, 0, 1)))
    wal.persist(wal.encode([], HardState(1, 0, 2)))
    assert disk.synced == len(disk.records) - 1

    disk.lose_power(random.Random(1))
    contents = disk.replay(Snapshot())
    assert [entry.data for entry in contents.entries] == [b"a", b"b"]


def test_without_a_sync_anything_may_go() -> None:
    lost = set()
    for seed in range(20):
        disk = make_disk()
        wal = make_wal(disk, Faults(skips_sync=True))
        wal.persist(wal.encode([Entry(1, 2, 0, b"b"), Entry(1, 3, 0, b"c")], None))
        lost.add(disk.lose_power(random.Random(seed)))
        assert disk.synced == len(disk.records)
    assert lost == {0, 1, 2}


def test_a_torn_write_leaves_a_part() -> None:
    disk = make_disk()
    wal = make_wal(disk)
    wal.tear = 1
    with pytest.raises(ProcessKilled):
        wal.persist(wal.encode([Entry(1, 2, 0, b"b"), Entry(1, 3, 0, b"c")], None))
    assert [entry.index for entry in disk.replay(Snapshot()).entries] == [1, 2]


def test_the_real_encoder_refuses_nonsense() -> None:
    wal = make_wal(make_disk())
    with pytest.raises(InvariantError):
        wal.encode([Entry(1, 5, 0, b"gap")], None)


def test_a_snapshot_counts_with_its_file_and_its_note() -> None:
    disk = make_disk()
    wal = make_wal(disk)
    snapshot = Snapshot(b"{}", 1, 1, ConfState([1]))
    wal.persist(wal.encode_snapshot(WalSnapshot(1, 1, ConfState([1]))))
    assert disk.find_start().is_empty()
    VirtualSnapshotter(wal).save(snapshot)
    assert disk.find_start() is snapshot and disk.replay(snapshot).entries == []


def test_a_received_snapshot_is_noted_with_the_state_that_commits_it() -> None:
    disk = make_disk()
    wal = make_wal(disk)
    snapshot = Snapshot(b"{}", 9, 1, ConfState([1]))
    batches = wal.encode_install(Write([Entry(1, 10, 0, b"x")], HardState(1, 0, 9), snapshot, [], True))
    wal.save_snapshot(snapshot)
    for batch in batches[:2]:
        wal.persist(batch)
    # A power cut at any moment from here on finds the snapshot.
    assert disk.synced == len(disk.records)
    assert disk.find_start() is snapshot
    wal.persist(batches[2])
    assert [entry.index for entry in disk.replay(snapshot).entries] == [10]


def test_jobs_take_their_time_one_after_the_other() -> None:
    schedule, seen = Schedule(), list[object]()
    loop = ProcessLoop(schedule, rate=1.0, on_killed=lambda: None)
    queue = DiskQueue(loop, lambda: 1.0, is_busy=False)
    for name in ("a", "b"):
        queue.submit(lambda name=name: seen.append(name), seen.append)  # type: ignore[misc]
    assert not queue.is_idle
    schedule.run_until(1.5)
    assert seen == ["a", None]
    schedule.run_until(2.5)
    assert seen == ["a", None, "b", None] and queue.is_idle


def test_a_job_may_be_cut_off_by_the_end_of_its_process() -> None:
    disk = make_disk()
    wal = make_wal(disk)
    loop = ProcessLoop(Schedule(), rate=1.0, on_killed=lambda: None)
    queue = DiskQueue(loop, lambda: 1.0, is_busy=True)
    batch = wal.encode([Entry(1, 2, 0, b"b"), Entry(1, 3, 0, b"c")], None)
    queue.submit(lambda: wal.persist(batch), lambda error: None)
    queue.interrupt(wal, 1)
    assert [entry.index for entry in disk.replay(Snapshot()).entries] == [1, 2]
    assert not queue.is_idle


def test_a_job_that_fails_says_so() -> None:
    schedule, seen = Schedule(), list[object]()
    queue = DiskQueue(ProcessLoop(schedule, rate=1.0, on_killed=lambda: None), lambda: 0.0, is_busy=False)

    def fail() -> None:
        raise OSError("full")

    queue.submit(fail, seen.append)
    schedule.run_until(1.0)
    assert len(seen) == 1 and isinstance(seen[0], OSError)
