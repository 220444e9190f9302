"""Members live, die, come and go."""

from __future__ import annotations

from dataclasses import replace

from etcdpy.sim.requests import Operation, Put
from tests.unit.sim.worlds import CALM, Asker, make_cluster, wait_for_leader


def test_a_new_cluster_elects_a_leader() -> None:
    cluster = make_cluster()
    assert sorted(cluster.processes) == [1, 2, 3] and cluster.leader() is None
    leader = wait_for_leader(cluster)
    cluster.schedule.run_until(cluster.schedule.now + 1.0)
    assert {process.member.leader_id for process in cluster.running()} == {leader}


def test_a_crashed_member_is_gone_until_it_starts_and_then_knows_what_it_knew() -> None:
    cluster = make_cluster()
    leader = wait_for_leader(cluster)
    cluster.schedule.run_until(cluster.schedule.now + 1.0)
    applied = cluster.processes[leader].member.applied_index
    cluster.crash(leader, power=True)
    assert cluster.find(leader) is None and not cluster.ask(leader, Operation(1, 0, Put(b"k", b"v"), 0))

    cluster.start(leader)
    process = cluster.processes[leader]
    assert process.life == 4 and process.storage.last_index() >= applied
    wait_for_leader(cluster)


def test_a_member_joins_and_another_leaves_for_ever() -> None:
    cluster = make_cluster(replace(CALM, snapshot_count=3))
    wait_for_leader(cluster)
    cluster.add_member(is_learner=True)
    cluster.schedule.run_until(cluster.schedule.now + 3.0)
    newcomer = cluster.processes[4]
    assert newcomer.member.conf_state.learners == [4]
    assert newcomer.member.applied_index == cluster.book.last_index

    newcomer.is_removed = True
    newcomer.driver.schedule()
    cluster.schedule.run_until(cluster.schedule.now + 0.1)
    cluster.start(4)
    assert 4 in cluster.removed and cluster.find(4) is None


def test_results_reach_the_client_that_asked() -> None:
    cluster = make_cluster()
    leader = wait_for_leader(cluster)
    asker = Asker(cluster)
    operation = asker.ask(leader, Put(b"k", b"v"))
    assert asker.told == [operation] and operation.revision == 2 and cluster.book.order == [1]
