"""Many seeds on all processors, and what is wrong with those that fail.

python -m etcdpy.sim --seeds 300 --first 0       run seeds 0 .. 299
python -m etcdpy.sim --replay 17                 one seed, with its whole trace
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from etcdpy.sim.run import Outcome, Run
from etcdpy.sim.runner import run_seeds

# The kinds of events that tell whether the seeds were hard enough.
TOLD_KINDS = ("crash", "pause", "cut", "storm", "leader", "install", "conf")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; return the exit status: 1 when a seed failed."""
    parser = argparse.ArgumentParser(prog="python -m etcdpy.sim", description=__doc__, add_help=True)
    parser.add_argument("--seeds", type=int, default=300, metavar="N", help="how many")
    parser.add_argument("--first", type=int, default=0, metavar="K", help="the first of them")
    parser.add_argument("--processes", type=int, default=0, metavar="P", help="at once; 0: as many as processors")
    parser.add_argument("--replay", type=int, metavar="SEED", help="run one seed and print its trace")
    chosen = parser.parse_args(arguments)
    if chosen.replay is not None:
        return replay(chosen.replay)
    events = operations = failed = 0
    counts: Counter[str] = Counter()
    for outcome in run_seeds(range(chosen.first, chosen.first + chosen.seeds), chosen.processes):
        events += outcome.events
        operations += outcome.operations
        counts.update(outcome.counts)
        if outcome.fault:
            failed += 1
            print(describe_failure(outcome), flush=True)
    told = ", ".join([f"{counts[kind]} {kind}" for kind in TOLD_KINDS])
    print(f"{chosen.seeds} seeds, {failed} failed: {events} events, {operations} operations, {told}")
    return 1 if failed else 0


def replay(seed: int) -> int:
    """Run a seed and print every line of its trace."""
    run = Run(seed)
    fault = run.find_fault()
    print(run.settings)
    print("\n".join(run.trace.lines()))
    print(f"seed {seed}: {fault or 'all is well'}\ndigest {run.trace.digest()}")
    return 1 if fault else 0


def describe_failure(outcome: Outcome) -> str:
    """Return all that is worth knowing of a seed that failed."""
    return "\n".join(
        [
            f"seed {outcome.seed} FAILED",
            *outcome.tail,
            outcome.fault,
            f"replay: python -m etcdpy.sim --replay {outcome.seed}",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
