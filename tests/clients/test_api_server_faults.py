"""Controllers on a cluster of ours lose nothing and see nothing wrong, while members are killed and come back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from etcdpy.client.client import Client
from tests.clients.api_server import Storage
from tests.clients.controllers import LAST, OBJECTS, Controller, Lister, Reflector, Rival, Worker, wait_steps
from tests.clients.waiting import wait_until
from tests.ours import ours_binary
from tests.reference_cluster import RunningCluster, start_reference_cluster

pytestmark = pytest.mark.slow
MEMBERS = 3
STEPS_BETWEEN_FAULTS = 25


def break_members(cluster: RunningCluster, controllers: list[Controller]) -> None:
    """Kill the leader, then somebody else; each time the others go on, and it comes back."""

    def work() -> None:
        wait_steps(controllers, STEPS_BETWEEN_FAULTS, lambda goal: wait_until("controllers get further", goal))

    work()
    for leads in (True, False):
        leader = cluster.leader()
        victim = leader if leads else next(member for member in cluster.members if member is not leader)
        victim.kill()
        work()
        victim.start()
        work()


def check_objects(reflector: Reflector, controllers: list[Controller]) -> None:
    attempted = set().union(*(controller.attempted for controller in controllers))
    for name in OBJECTS:
        marks = reflector.picture[b"/registry/" + name][1].split()
        acknowledged = [mark.strip() for controller in controllers for mark in controller.acknowledged[name]]
        assert len(set(marks)) == len(marks), "a change happened twice"
        assert set(acknowledged) <= set(marks), "an acknowledged change is lost"
        assert {mark + b" " for mark in marks} <= attempted


def test_controllers_while_members_die(tmp_path: Path) -> None:
    stop = threading.Event()
    with start_reference_cluster(tmp_path, MEMBERS, binaries=[ours_binary("etcd")] * MEMBERS) as cluster:
        endpoints = [member.endpoint for member in cluster.members]
        controllers = [Controller(endpoints, stop, number) for number in range(4)]
        for name in OBJECTS:
            controllers[0].storage.create(name, b"")
        reflector, lister = Reflector(endpoints, stop), Lister(endpoints, stop)
        rivals = [Rival(endpoints, stop) for _ in range(2)]
        workers: list[Worker] = [*controllers, reflector, lister, *rivals]
        for worker in workers:
            worker.start()
        try:
            break_members(cluster, controllers)
            wait_until("they compacted", lambda: sum(rival.compactions for rival in rivals) > 2)
        finally:
            stop.set()
            for controller in controllers:
                controller.join()
            with Client(endpoints) as client:
                Storage(client).create(LAST, b"")
            for worker in workers:
                worker.finish()
    check_objects(reflector, controllers)
    for revision, listed in lister.lists:
        seen = reflector.picture_at(revision)
        assert seen is None or listed == seen, f"a list at {revision} is not what there was"
    assert len(lister.lists) > STEPS_BETWEEN_FAULTS
