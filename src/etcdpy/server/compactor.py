"""Automatic compaction: which revision to compact to, and when. Only the leader's asks for it.

    compactor = make_compactor(period_seconds=3600.0, revisions=0, now=now)      None: nothing is to be compacted
    revision = compactor.poll(now, store.current_revision)                       at or after `next_poll_at`
    if revision is not None:
        ... propose the compaction ...
        compactor.on_compacted(revision, now)      or on_failed(), then it is asked for again

Periodic keeps the history of the last `period`: it notes the current revision ten times per interval and compacts to
the one noted a period ago. The first compaction comes after one period, further ones every interval, which is the
period, but at most an hour.

Revision keeps the last n revisions and looks every five minutes.

A machine of values: time and revision come in, a revision to compact to comes out.

Upstream: server/etcdserver/api/v3compactor.
"""

from __future__ import annotations

from collections import deque
from typing import Final

INTERVAL_SECONDS_MAX: Final = 3_600.0
SAMPLES_PER_INTERVAL: Final = 10
REVISION_INTERVAL_SECONDS: Final = 300.0


class PeriodicCompactor:
    def __init__(self, period_seconds: float, now: float) -> None:
        self._period_seconds = period_seconds
        self._interval_seconds = min(period_seconds, INTERVAL_SECONDS_MAX)
        self._sample_seconds = self._interval_seconds / SAMPLES_PER_INTERVAL
        # One more than fit into a period: the oldest is then just a period old.
        # round() first: 1.0 / 0.1 is not quite 10.
        self._noted: deque[int] = deque(maxlen=int(round(period_seconds / self._sample_seconds, 6)) + 1)
        self._wait_seconds = period_seconds  # until the next compaction, from the last success
        self._last_success_at = now
        self._last_revision = 0
        self._is_paused = False
        self.next_poll_at = now

    def poll(self, now: float, current_revision: int) -> int | None:
        """Return the revision to compact to, if it is time."""
        if now < self.next_poll_at:
            return None
        self.next_poll_at = now + self._sample_seconds
        wanted = self._find_wanted(now)
        self._noted.append(current_revision)
        return wanted

    def _find_wanted(self, now: float) -> int | None:
        if self._is_paused or not self._noted:
            return None
        revision = self._noted[0]
        # Half a sample of tolerance: polls come a little late, and periods must not therefore lengthen by a sample.
        is_early = now - self._last_success_at < self._wait_seconds - self._sample_seconds / 2
        if is_early or revision == self._last_revision:
            return None
        self._wait_seconds = self._interval_seconds
        return revision

    def on_compacted(self, revision: int, now: float) -> None:
        """The compaction was done, or somebody had done it already."""
        self._last_revision = revision
        self._last_success_at = now

    def on_failed(self) -> None:
        """Nothing to note: the next sample asks again."""

    def pause(self) -> None:
        """We do not lead: keep noting, ask for nothing."""
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False


class RevisionCompactor:
    def __init__(self, kept_revisions: int, now: float) -> None:
        self._kept_revisions = kept_revisions
        self._last_revision = 0
        self._is_paused = False
        self.next_poll_at = now + REVISION_INTERVAL_SECONDS

    def poll(self, now: float, current_revision: int) -> int | None:
        """Return the revision to compact to, if it is time."""
        if now < self.next_poll_at:
            return None
        self.next_poll_at = now + REVISION_INTERVAL_SECONDS
        revision = current_revision - self._kept_revisions
        if self._is_paused or revision <= 0 or revision == self._last_revision:
            return None
        return revision

    def on_compacted(self, revision: int, now: float) -> None:
        """The compaction was done, or somebody had done it already."""
        self._last_revision = revision

    def on_failed(self) -> None:
        """Nothing to note: the next look asks again."""

    def pause(self) -> None:
        """We do not lead."""
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False


Compactor = PeriodicCompactor | RevisionCompactor


def make_compactor(*, period_seconds: float, revisions: int, now: float) -> Compactor | None:
    """Return the compactor that the settings ask for; None when all history is kept."""
    if period_seconds > 0:
        return PeriodicCompactor(period_seconds, now)
    return RevisionCompactor(revisions, now) if revisions > 0 else None
