"""Waiting for something that comes about sooner or later."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

# Patroni's failover waits for a lease of 20 s, then for an election; initdb and a base backup take seconds on a loaded
# machine.
SETTLE_SECONDS_MAX: Final = 90.0


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    """Return when the condition holds. Raise TimeoutError after SETTLE_SECONDS_MAX."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {SETTLE_SECONDS_MAX} s: {what}")
        time.sleep(0.1)  # The pause between two looks.
