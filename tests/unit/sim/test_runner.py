"""Seeds over processes give what they give alone."""

from __future__ import annotations

import pytest

from etcdpy.sim.runner import run_seeds


@pytest.mark.slow
def test_two_processes_find_what_one_finds() -> None:
    alone = [(outcome.seed, outcome.digest) for outcome in run_seeds(range(3, 6), 1)]
    together = [(outcome.seed, outcome.digest) for outcome in run_seeds(range(3, 6), 2)]
    assert alone == together and [seed for seed, _ in alone] == [3, 4, 5]
