"""A start that is interrupted, in a process with one thread as the benchmark is: signals of others would go elsewhere.

The child itself interrupts us, while we wait for its program to begin: its starter never gets hold of it. Prints how
many children are left after the interrupt, and how many after `end_all`.
"""

from __future__ import annotations

import os
import signal
import tempfile
from types import FrameType

from benchmarks import process as processes


def children() -> set[int]:
    """Return the pids of our children, also those that wait for being reaped."""
    with open(f"/proc/self/task/{os.getpid()}/children") as names:
        return {int(name) for name in names.read().split()}


def interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM as the benchmark's main takes it."""
    raise KeyboardInterrupt


def main() -> None:
    starter, take_interrupts = os.getpid(), processes.take_interrupts

    def interrupt_starter() -> None:
        if os.getpid() != starter:
            os.kill(starter, signal.SIGTERM)
        take_interrupts()

    signal.signal(signal.SIGTERM, interrupt)
    processes.take_interrupts = interrupt_starter
    try:
        with tempfile.TemporaryFile() as log:
            processes.start_process(["sleep", "1000"], log=log)
    except KeyboardInterrupt:
        left = len(children())
        processes.end_all()
        print(f"interrupted, {left} left, then {len(children())}")


if __name__ == "__main__":
    main()
