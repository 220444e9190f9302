"""Processes that the benchmark starts: none outlives it, however it is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile

from benchmarks.process import end_all, end_process, start_process
from tests.reference import REPOSITORY

SLEEPER = ["sleep", "1000"]


def test_a_process_whose_start_is_interrupted_is_ended() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.benchmarks.interrupted_start"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "interrupted, 1 left, then 0\n", done.stderr


def test_a_process_takes_signals_as_any_other() -> None:
    with tempfile.TemporaryFile() as log:
        process = start_process(SLEEPER, log=log)
    end_process(process)

    assert process.returncode == -signal.SIGTERM


def test_what_was_ended_is_not_ended_again() -> None:
    with tempfile.TemporaryFile() as log:
        process = start_process(["true"], log=log)
    process.wait()
    end_process(process)

    end_all()

    assert process.returncode == 0
