"""300 seeds without a fault; the same seed twice is the same run, whatever the interpreter's hash seed is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from etcdpy.sim.__main__ import describe_failure
from etcdpy.sim.run import run_seed
from etcdpy.sim.runner import run_seeds

SEEDS = 300
DIGEST_SEEDS = (1, 2, 3, 5, 8)
PRINT_DIGESTS = f"""
from etcdpy.sim.run import run_seed
print([run_seed(seed).digest for seed in {DIGEST_SEEDS}])
"""


# Less than a minute on two idle processors; on busy ones it may take longer, and nothing in it waits.
@pytest.mark.timeout(1200)
@pytest.mark.slow
def test_no_seed_finds_a_fault() -> None:
    failures: list[str] = []
    counts: Counter[str] = Counter()
    for outcome in run_seeds(range(SEEDS)):
        counts.update(outcome.counts)
        if outcome.fault:
            failures.append(describe_failure(outcome))
    assert not failures, "\n".join(failures[:3])
    # The worlds were bad enough to mean something.
    for kind in ("crash", "pause", "cut", "storm", "slow", "install", "transfer", "propose", "event"):
        assert counts[kind] > SEEDS / 10, (kind, counts)


@pytest.mark.slow
def test_a_seed_is_the_same_run_in_every_process() -> None:
    printed = []
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", PRINT_DIGESTS],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        printed.append(done.stdout)
    assert printed[0] == printed[1] == f"{[run_seed(seed).digest for seed in DIGEST_SEEDS]}\n"


def test_seeds_differ() -> None:
    assert run_seed(1).digest != run_seed(2).digest
