"""Real members are replaced by ours one after the other, and ours by real ones, while clients go on asking.

Each client knows all endpoints. No linearizable read fails, and the history is linearizable: no acknowledged write is
lost, either.

Two ways there are: a member of ours starts on the directory that a real one left (the way back needs a new member: what
we wrote, a real one cannot read), and a new member that joins as a learner before the old one goes. Real members are
ended by SIGTERM only: 3.5.1 loses entries when it is killed (etcd issue 13766).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from etcdpy.client.aio import AsyncClient
from etcdpy.client.request import watch_request
from etcdpy.sim.linearizability import check_history
from tests.compat.mixed import (
    OURS,
    PATIENCE_SECONDS,
    REAL,
    binary_of,
    promote,
    remove_member,
    start_mixed_cluster,
    wait_agreed,
)
from tests.e2e.clusters.crew import PREFIX, Crew
from tests.reference_cluster import RunningCluster

CLIENTS_PER_MEMBER: Final = 2
# Between two replacements: that a cluster of both kinds is at work, too.
OPERATIONS_BETWEEN: Final = 100
# Snapshots in between: who joins gets one, and the directory that is taken over has one.
# Without the check a change of membership need not wait for five seconds of quiet connections.
FLAGS: Final = ("--snapshot-count=500", "--strict-reconfig-check=false")
SEED: Final = 3501

Replace = Callable[[RunningCluster, int, str], None]


def in_place(cluster: RunningCluster, number: int, kind: str) -> None:
    """Another program on the same directory."""
    member = cluster.members[number]
    member.restart(binary=binary_of(kind), wait=False)
    member.wait_until_healthy()


def by_a_new_voter(cluster: RunningCluster, number: int, kind: str) -> None:
    """The old member goes, then the new one comes."""
    remove_member(cluster, cluster.members[number])
    cluster.wait_until_healthy()  # what is proposed while the removed one is still believed to lead is lost
    new = cluster.add_member(binary=binary_of(kind), flags=FLAGS)
    cluster.members.insert(number, cluster.members.pop())
    assert cluster.members[number] is new


def by_a_learner(cluster: RunningCluster, number: int, kind: str) -> None:
    """The new member comes and catches up, then the old one goes."""
    new = cluster.add_member(learner=True, binary=binary_of(kind), flags=FLAGS)
    promote(cluster, new)
    new.wait_until_healthy()
    remove_member(cluster, cluster.members[number])
    cluster.members.insert(number, cluster.members.pop())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("there", "back"), [(in_place, by_a_new_voter), (by_a_learner, by_a_learner)], ids=["in-place", "by-a-learner"]
)
def test_all_members_are_replaced_while_clients_go_on(tmp_path: Path, there: Replace, back: Replace) -> None:
    print(f"seed {SEED}")  # pytest shows it where the test fails
    with start_mixed_cluster(tmp_path, (REAL, REAL, REAL), flags=FLAGS) as cluster:
        asyncio.run(_replace_all(cluster, there, back, random.Random(SEED)))


async def _replace_all(cluster: RunningCluster, there: Replace, back: Replace, rng: random.Random) -> None:
    crew = Crew([member.endpoint for member in cluster.members], rng, roams=True)
    asking = asyncio.ensure_future(crew.run(CLIENTS_PER_MEMBER))
    try:
        for kind, replace in ((OURS, there), (REAL, back)):
            for number in rng.sample(range(len(cluster.members)), len(cluster.members)):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await crew.wait_done(OPERATIONS_BETWEEN)
                await asyncio.to_thread(replace, cluster, number, kind)
                crew.move([member.endpoint for member in cluster.members])
            await crew.wait_done(OPERATIONS_BETWEEN)
    finally:
        crew.stop()
        await asking
    view = await asyncio.to_thread(wait_agreed, cluster.members)
    assert not crew.failed_reads, "\n".join(crew.failed_reads[:20])
    for member in cluster.members:
        numbers = await _written(member.endpoint, view.revision)
        faults = check_history(crew.operations, numbers)
        assert not faults, "\n".join(faults[:20])


async def _written(endpoint: str, last_revision: int) -> list[int]:
    """Return the numbers of the operations that took effect, in their order, as one member tells them."""
    numbers: list[int] = []
    revision = 0
    async with asyncio.timeout(PATIENCE_SECONDS), AsyncClient([endpoint]) as client:
        watcher = client.watch(watch_request(PREFIX, prefix=True, start_revision=1))
        while revision < last_revision:
            response = await watcher.read()
            assert response is not None, f"{endpoint} canceled the watch of its history"
            numbers += [int(event.kv.value) for event in response.events]
            if response.events:
                revision = response.events[-1].kv.mod_revision
        watcher.close()
    return numbers
