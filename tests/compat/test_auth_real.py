"""Users, roles and permissions: ours and the real etcd 3.5.1 answer alike."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.compat.auth_operations import Player, Seen, generate
from tests.compat.both import run_on_both
from tests.reference import RunningEtcd

pytestmark = pytest.mark.slow

STEPS_PER_SEED: Final = 700
SEEDS: Final = (1, 2)
# A hash at the usual cost takes a tenth of a second.
CHEAP: Final = ("--bcrypt-cost=4",)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_operations_of_several_users(tmp_path: Path, seed: int) -> None:
    steps = generate(seed, STEPS_PER_SEED)

    def script(server: RunningEtcd) -> list[Seen]:
        player = Player(server.endpoint)
        seen = [player.play(step) for step in steps]
        player.close()
        return seen

    seen = run_on_both(tmp_path, script, flags=CHEAP)
    for number, (step, theirs, ours) in enumerate(zip(steps, seen.theirs, seen.ours, strict=True)):
        assert ours == theirs, f"seed {seed}, step {number}: {step}"
    texts = Counter(answer.text for answer in seen.ours)
    assert texts[""] > STEPS_PER_SEED / 3
    for text in ("permission denied", "user name is empty", "invalid auth token", "invalid auth management"):
        assert texts[f"etcdserver: {text}"] > 0, texts
