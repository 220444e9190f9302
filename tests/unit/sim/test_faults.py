"""Honest runs have no faults; that each fault does something is what tests/sim/test_bugs.py shows."""

from __future__ import annotations

from dataclasses import astuple

from etcdpy.sim.faults import NO_FAULTS


def test_nothing_is_wrong_by_default() -> None:
    assert not any(astuple(NO_FAULTS))
