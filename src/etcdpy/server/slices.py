"""Work that grows with the data, done a slice per event-loop turn so that nothing else waits for it (design section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def run_slices(step: Callable[[], bool], pause_seconds: float = 0.0) -> None:
    """Call `step` until it returns True (done), with a turn of the loop, or a pause, between two calls."""
    while not step():
        await asyncio.sleep(pause_seconds)
