"""Worlds are drawn by the seed, and differ."""

from __future__ import annotations

import random

from etcdpy.sim.settings import TROUBLES, choose_settings


def test_the_seed_decides() -> None:
    assert choose_settings(random.Random(5)) == choose_settings(random.Random(5))


def test_worlds_differ_in_size_and_trouble() -> None:
    worlds = [choose_settings(random.Random(seed)) for seed in range(200)]
    assert {world.members for world in worlds} == {1, 3, 5}
    assert {trouble for world in worlds for trouble in world.troubles} == set(TROUBLES)
    assert len({world.troubles for world in worlds}) > 100
    assert all(0 <= world.loss < 0.5 for world in worlds)
