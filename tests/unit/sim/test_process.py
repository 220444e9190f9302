"""One life of one member: recovery, snapshots, and stopping on what must not be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.sim.requests import Put
from tests.unit.sim.worlds import CALM, Asker, make_cluster, wait_for_leader


def test_a_follower_far_behind_gets_a_snapshot_and_starts_from_it() -> None:
    cluster = make_cluster(replace(CALM, snapshot_count=5))
    leader = cluster.processes[wait_for_leader(cluster)]
    behind = next(member for member in cluster.processes if member != leader.member_id)
    cluster.crash(behind, power=False)
    asker = Asker(cluster)
    for number in range(40):
        asker.ask(leader.member_id, Put(b"k", b"%d" % number))
    cluster.start(behind)
    cluster.schedule.run_until(cluster.schedule.now + 3.0)

    process = cluster.processes[behind]
    assert cluster.trace.counts["install"] == 1
    assert process.machine.store.hash_kv() == leader.machine.store.hash_kv()
    cluster.crash(behind, power=True)
    cluster.start(behind)
    assert cluster.processes[behind].start_snapshot.index > 5


def test_a_crash_between_the_note_of_a_snapshot_and_its_database_is_mended_at_the_start() -> None:
    cluster = make_cluster()
    leader = cluster.processes[wait_for_leader(cluster)]
    Asker(cluster).ask(leader.member_id, Put(b"k", b"v"))
    cluster.add_member(is_learner=True)
    newcomer = cluster.processes[4]
    newcomer._adopt = lambda snapshot: newcomer.loop.kill()  # type: ignore[method-assign]
    leader.storage.create_snapshot(leader.member.applied_index, leader.member.conf_state, leader.machine.v2store.save())
    leader.storage.compact(leader.member.applied_index)
    cluster.schedule.run_until(cluster.schedule.now + 3.0)
    cluster.crash(4, power=True)
    assert cluster.disks[4].find_start().index

    cluster.start(4)
    assert cluster.processes[4].machine.store.current_revision == leader.machine.store.current_revision


def test_a_store_ahead_of_its_log_is_refused() -> None:
    cluster = make_cluster()
    leader = wait_for_leader(cluster)
    cluster.schedule.run_until(cluster.schedule.now + 1.0)
    cluster.crash(leader, power=False)
    disk = cluster.disks[leader]
    del disk.records[6:]
    disk.synced = len(disk.records)
    with pytest.raises(InvariantError, match="the store has applied index"):
        cluster.start(leader)
