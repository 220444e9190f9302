"""Look for one planted bug: `python -m tests.sim.hunt NAME` says which seed shows it, or ends with 1.

A process of its own, for a bug is planted by putting a wrong function into the place of a right one, and what mypyc
compiled cannot be changed. So this process takes every module from its `.py` file, whether or not there is a compiled
one beside it.
"""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from typing import Final

SEEDS_MAX: Final = 500


def prefer_sources() -> None:
    """From now on, import `.py` files rather than the compiled modules beside them."""
    finder = FileFinder.path_hook((SourceFileLoader, SOURCE_SUFFIXES), (ExtensionFileLoader, EXTENSION_SUFFIXES))
    sys.path_hooks.insert(0, finder)
    sys.path_importer_cache.clear()


def main(name: str) -> int:
    prefer_sources()
    from etcdpy.sim.run import run_seed
    from tests.sim.bugs import BUGS

    bug = BUGS[name]
    with bug.planted():
        for seed in range(bug.first, bug.first + SEEDS_MAX):
            fault = run_seed(seed, faults=bug.faults, settings=bug.world(seed)).fault
            if fault:
                print(f"seed {seed}: {fault}")
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
