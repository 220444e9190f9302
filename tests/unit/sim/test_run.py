"""One seed: the same every time, and each way to fail says what is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from etcdpy.sim.cluster import Cluster
from etcdpy.sim.faults import Faults
from etcdpy.sim.run import Fault, Run, run_seed
from etcdpy.sim.settings import CRASH
from tests.unit.sim.worlds import CALM

SHORT = replace(CALM, chaos_seconds=3.0)


def test_a_calm_world_has_no_fault_and_a_trace() -> None:
    outcome = run_seed(1, settings=SHORT)
    assert outcome.fault == "" and outcome.tail == []
    assert outcome.operations > 10 and outcome.events > 500 and outcome.counts["leader"] >= 3
    assert outcome.digest == run_seed(1, settings=SHORT).digest


def test_a_fault_comes_with_the_end_of_the_trace() -> None:
    outcome = run_seed(1, settings=SHORT, faults=Faults(acknowledges_early=True), tail_lines=7)
    assert "wrong revision" in outcome.fault and len(outcome.tail) == 7


def test_an_exception_of_a_member_is_a_fault() -> None:
    world = replace(SHORT, troubles=(CRASH,), trouble_seconds=0.3)
    faults = [run_seed(seed, settings=world, faults=Faults(forgets_index=True)).fault for seed in range(5)]
    assert any("FailedMember" in fault for fault in faults), faults


def test_waiting_for_ever_is_a_fault() -> None:
    run = Run(1, settings=SHORT)
    with pytest.raises(Fault, match="nothing within 10 s of peace"):
        run._wait("nothing", lambda: False)


def test_a_cluster_that_cannot_heal_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cluster, "leader", lambda self: None)
    assert run_seed(1, settings=SHORT).fault == "no leader within 10 s of peace"
