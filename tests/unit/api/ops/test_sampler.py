"""A thread that works and one that waits, as the profile sees them."""

from __future__ import annotations

import threading

from etcdpy.api.ops.sampler import DEPTH_MAX, Sampler, stack_of
from tests.unit.api.ops.pprof_reader import read_profile

LOOKS = 20


def work_hard(sampler: Sampler) -> int:
    total = 0
    while sampler.look_count < LOOKS:
        total += sum(range(1000))
    return total


def wait_here(until: threading.Event) -> None:
    until.wait(60)


def test_who_works_and_who_waits() -> None:
    sampler, over = Sampler(), threading.Event()
    worker = threading.Thread(target=work_hard, args=(sampler,), name="worker")
    waiter = threading.Thread(target=wait_here, args=(over,), name="waiter")
    waiter.start()
    worker.start()
    sampler.start()
    worker.join()
    sampler.stop()
    over.set()
    waiter.join()

    profile, samples = read_profile(sampler.file())
    working = [each.values for each in samples if each.thread == "worker" and "work_hard" in each.stack]
    waiting = [each.values for each in samples if each.thread == "waiter" and "wait_here" in each.stack]
    worked, waited = sum(each["cpu"] for each in working), sum(each["cpu"] for each in waiting)
    assert worked > 10 * waited and worked > 0
    assert sum(each["samples"] for each in waiting) >= LOOKS - 1
    assert sum(each["wall"] for each in waiting) > sum(each["cpu"] for each in waiting)
    assert not any(each.thread == "profile" for each in samples), "it does not profile itself"
    assert profile.duration_nanos > 0 and profile.time_nanos > 0


def test_deep_stacks_are_cut() -> None:
    def descend(depth: int) -> int:
        if depth:
            return descend(depth - 1)
        import sys

        return len(stack_of(sys._getframe()))

    assert descend(2 * DEPTH_MAX) == DEPTH_MAX
