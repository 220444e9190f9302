"""What happened, one line per event in fixed columns (docs/simulator.md): the same seed writes the same lines.

time in ms   member   what      details
  1234.567   3        crash     power
"""

from __future__ import annotations

import hashlib
from collections import Counter

from etcdpy.sim.clock import Schedule


class Trace:
    """The lines of one run."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._records: list[tuple[float, int, str, str]] = []
        self.counts: Counter[str] = Counter()  # how often each kind of event happened

    def add(self, member: int, what: str, details: str = "") -> None:
        """Note an event of a member (0: of the world)."""
        self.counts[what] += 1
        self._records.append((self._schedule.now, member, what, details))

    def lines(self, last: int | None = None) -> list[str]:
        """Return the lines, or the `last` of them."""
        records = self._records if last is None else self._records[-last:]
        return [
            f"{time * 1000:12.3f} {member or '-':>2} {what:<9} {details}" for time, member, what, details in records
        ]

    def digest(self) -> str:
        """Return a hash over all lines: two runs are the same if and only if it is."""
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()
