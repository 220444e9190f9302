"""The nemesis brings each kind of trouble, and ends all of it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from etcdpy.sim.nemesis import Nemesis
from etcdpy.sim.settings import TROUBLES
from tests.unit.sim.worlds import CALM, make_cluster, wait_for_leader

SIGNS = {
    "crash": "crash",
    "torn write": "tear",
    "partition": "cut",
    "pause": "pause",
    "slow disk": "slow",
    "transfer": "transfer",
    "members": "propose",
    "storm": "storm",
    "campaign": "campaign",
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_comes_and_goes(trouble: str) -> None:
    cluster = make_cluster(replace(CALM, troubles=(trouble,), trouble_seconds=0.5))
    nemesis = Nemesis(cluster, random.Random(3))
    wait_for_leader(cluster)
    nemesis.start()
    cluster.schedule.run_until(cluster.schedule.now + 15.0)
    nemesis.stop()

    assert cluster.trace.counts[SIGNS[trouble]]
    cluster.schedule.run_until(cluster.schedule.now + 2.0)
    wait_for_leader(cluster)
    assert len(list(cluster.running())) == len(set(cluster.disks) - cluster.removed)
    assert not cluster.network.cut and cluster.network.loss == 0.0
