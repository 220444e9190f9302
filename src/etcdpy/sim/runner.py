"""Seeds over processes: each runs alone, so the machine's processors are used without a seed noticing."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from typing import Final

from etcdpy.sim.run import Outcome, run_seed

# Seeds handed to a process at once: few enough that none is left waiting at the end.
CHUNK_SEEDS: Final = 4


def run_seeds(seeds: Iterable[int], processes: int = 0) -> Iterator[Outcome]:
    """Yield what came of each seed, in order; `processes` at once, 0 for as many as there are processors."""
    count = processes or os.cpu_count() or 1
    if count == 1:
        yield from map(run_seed, seeds)
        return
    # Spawned, not forked: the caller may have threads.
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        yield from pool.imap(run_seed, seeds, CHUNK_SEEDS)
