"""Processes that the benchmark starts: none outlives it, however it is interrupted."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from types import FrameType

import pytest

from benchmarks import process as processes
from benchmarks.process import end_all, end_process, start_process

SLEEPER = ["sleep", "1000"]


@pytest.fixture
def sigterm_interrupts() -> Iterator[None]:
    """SIGTERM as the benchmark's main takes it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


def children() -> set[int]:
    """Return the pids of our children, also those that wait for being reaped."""
    with open(f"/proc/self/task/{os.getpid()}/children") as names:
        return {int(name) for name in names.read().split()}


def test_a_process_whose_start_is_interrupted_is_ended(
    sigterm_interrupts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child itself interrupts us, while we wait for its program to begin: its starter never gets hold of it."""
    starter, take_interrupts = os.getpid(), processes.take_interrupts

    def interrupt_starter() -> None:
        if os.getpid() != starter:
            os.kill(starter, signal.SIGTERM)
        take_interrupts()

    monkeypatch.setattr(processes, "take_interrupts", interrupt_starter)
    before = children()
    with tempfile.TemporaryFile() as log, pytest.raises(KeyboardInterrupt):
        start_process(SLEEPER, log=log)
    (started,) = children() - before

    end_all()

    assert started not in children()


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
