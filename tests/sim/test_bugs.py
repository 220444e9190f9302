"""The simulator finds what it is for: each bug that is planted shows within 500 seeds, most of them at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from etcdpy.sim.run import run_seed
from tests.reference import REPOSITORY
from tests.sim.bugs import BUGS


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "tests.sim.hunt", name], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert found.returncode == 0 and found.stdout.startswith("seed "), found.stdout + found.stderr


@pytest.mark.parametrize("name", [name for name, bug in BUGS.items() if bug.world.__name__ != "usual"])
def test_the_worlds_made_for_bugs_are_fit_for_honest_members(name: str) -> None:
    """What shows there is the bug, not the world."""
    bug = BUGS[name]
    for seed in range(bug.first, bug.first + 8):
        outcome = run_seed(seed, settings=bug.world(seed))
        assert not outcome.fault, outcome.fault
