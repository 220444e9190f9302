"""Bugs to be planted: what the simulated drivers do wrong on purpose, so that a test can see that it is noticed.

All off in every honest run. Bugs inside of the member and the store are planted by tests/sim/bugs.py, which exchanges
a function for a wrong one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Faults:
    skips_sync: bool = False  # takes a write for durable that is not
    trusts_unsynced_log: bool = False  # starts from records that a power cut can still take
    forgets_vote: bool = False  # starts again without knowing whom it voted for
    forgets_index: bool = False  # starts again without knowing what is applied: entries are applied twice
    acknowledges_early: bool = False  # a put is acknowledged when it is proposed


NO_FAULTS = Faults()
