"""Where a small write is synced: right here on the loop, or on the disk thread.

Here, nobody has to be woken, which on a quick disk costs more than the sync; but the loop stands still meanwhile. So a
disk that is slow here is left to the thread for a while, and then tried again.

What looks like a slow disk may be a busy machine: the sync was quick, but the process had to wait for a core. Then the
thread is worse, for its two wake-ups wait for a core as well. Its own overhead (there and back, without the sync) says
which of the two it is: the sync here may take so much longer before the thread is the better choice.
"""

from __future__ import annotations

from typing import Final

# An inline sync slower than this holds up everybody.
SYNC_SECONDS_MAX: Final = 0.001
PENALTY_WRITES: Final = 64
# One slow sync of many says nothing, however slow (another process had the core): this many count.
SMOOTHING: Final = 8
# A sync counts for no more than so many times of what is allowed.
COUNTED_MAX: Final = 2.0


class InlineSync:
    """Decides by what the last syncs took."""

    def __init__(self) -> None:
        self._seconds = 0.0  # an inline sync, smoothed
        self._overhead_seconds = 0.0  # of the thread, smoothed
        self._penalty = 0  # writes left for the thread

    @property
    def is_allowed(self) -> bool:
        return self._penalty == 0

    def note_inline(self, seconds: float) -> None:
        """A sync on the loop took so long."""
        limit = self._limit()
        self._seconds += (min(seconds, COUNTED_MAX * limit) - self._seconds) / SMOOTHING
        if self._seconds > limit:
            self._penalty = PENALTY_WRITES

    def note_thread(self, total_seconds: float, sync_seconds: float) -> None:
        """A write was with the thread for `total_seconds`, of which it worked for `sync_seconds`."""
        self._overhead_seconds += (total_seconds - sync_seconds - self._overhead_seconds) / SMOOTHING
        if self._penalty:
            self._penalty -= 1
            if self._seconds <= self._limit():
                self._penalty = 0
            if not self._penalty:
                self._seconds = 0.0

    def _limit(self) -> float:
        return SYNC_SECONDS_MAX + self._overhead_seconds
