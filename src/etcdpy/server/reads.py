"""Linearizable reads: one confirmation round serves all reads that gathered meanwhile (thesis 6.4).

    gathering --(turn ends)--> round in flight --(leader confirmed)--> waits for its index --(applied)--> answered

Rules
  * A read joins a round only before the round is asked for: a confirmation never serves a read that came after it.
  * A round's context is never used twice (etcd issue 20418): one that got no answer (it may be lost, or its leader may
    be) is asked for again under a new one, and an answer to the old one is nobody's.
  * While as many rounds as may be are unanswered, reads gather: the next round serves them all.
  * No read waits longer than the timeout, not even for a leader whom a round could be asked of.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from etcdpy.state.apply.caller import Caller

# With one round the reads that came meanwhile would wait for it to return before theirs sets out; with many, each
# would be a round of heartbeats for a few reads.
ROUNDS_UNANSWERED_MAX: Final = 2


class Read:
    """One waiting reader. `kind`, `request` and `caller` as for proposals; READ_INDEX has no request."""

    __slots__ = ("ticket", "kind", "request", "caller")

    def __init__(self, ticket: int, kind: int, request: Any, caller: Caller | None = None) -> None:
        self.ticket = ticket
        self.kind = kind
        self.request = request
        self.caller = caller


class Round:
    __slots__ = ("reads", "began", "asked_at", "deadline", "index")

    def __init__(self, reads: list[Read], asked_at: float, deadline: float) -> None:
        self.reads = reads
        self.began = asked_at
        self.asked_at = asked_at
        self.deadline = deadline
        self.index: int | None = None  # what must be applied first; None until the leader confirmed


class ReadQueue:
    """The rounds of this member, oldest first."""

    def __init__(self) -> None:
        self._late_answers = 0
        self._gathering: list[Read] = []
        # (deadline, how many of the gathering it holds for), both growing. Empty but while nobody leads.
        self._gathering_deadlines: list[tuple[float, int]] = []
        self._rounds: OrderedDict[bytes, Round] = OrderedDict()
        self._unanswered = 0  # Invariant: how many rounds have no index.
        self._stale: list[Round] = []  # to be asked for again, oldest first
        self.ready_since = 0.0  # when the oldest round of those taken last was begun

    def add(self, read: Read) -> bool:
        """Let a read gather; return whether it is the first, so that a round must be asked for."""
        self._gathering.append(read)
        return len(self._gathering) == 1

    @property
    def wants_round(self) -> bool:
        """Whether a round should be asked for now."""
        return bool(self._stale) or (bool(self._gathering) and self._unanswered < ROUNDS_UNANSWERED_MAX)

    def start_round(self, context: bytes, now: float, deadline: float) -> None:
        """A round is asked for under `context`: a stale one, or the gathering as one of its own."""
        if self._stale:
            again = self._stale.pop(0)
            again.asked_at = now
            self._rounds[context] = again
            # They stay sorted by deadline.
            for later in [key for key, other in self._rounds.items() if other.deadline > again.deadline]:
                self._rounds.move_to_end(later)
        else:
            self._rounds[context] = Round(self._gathering, now, deadline)
            self._gathering = []
            self._gathering_deadlines.clear()
        self._unanswered += 1

    def give_up_unanswered(self, asked_before: float) -> None:
        """Count as lost what was asked before that time and has no answer: it will be asked for again."""
        if not self._unanswered:
            return
        for context, waiting in list(self._rounds.items()):
            if waiting.index is None and waiting.asked_at < asked_before:
                del self._rounds[context]
                self._unanswered -= 1
                self._stale.append(waiting)

    @property
    def late_answers(self) -> int:
        """Answers to rounds that had been given up: etcd_server_slow_read_indexes_total."""
        return self._late_answers

    def confirm(self, context: bytes, index: int) -> None:
        """The leader was still leader when it answered: this round may be served once `index` is applied."""
        confirmed = self._rounds.get(context)
        if confirmed is None:
            self._late_answers += 1
        if confirmed is not None and confirmed.index is None:
            confirmed.index = index
            self._unanswered -= 1

    def take_ready(self, applied_index: int) -> list[Read]:
        """Return and forget the reads whose index is applied."""
        if not self._rounds:
            return []
        ready: list[Read] = []
        for context in list(self._rounds):
            waiting = self._rounds[context]
            if waiting.index is not None and waiting.index <= applied_index:
                self.ready_since = waiting.began if not ready else min(self.ready_since, waiting.began)
                ready += waiting.reads
                del self._rounds[context]
        return ready

    def take_expired(self, now: float, timeout_seconds: float) -> list[Read]:
        """Return and forget the reads that found no round, or whose round was not confirmed or applied, in time.

        Call it a few times a second: a read that gathers has `timeout_seconds` from the first call that sees it.
        """
        expired = self._take_unasked(now, timeout_seconds)
        while self._stale and self._stale[0].deadline <= now:
            expired += self._stale.pop(0).reads
        while self._rounds:
            context, oldest = next(iter(self._rounds.items()))
            if oldest.deadline > now:
                break
            expired += oldest.reads
            self._forget(context)
        return expired

    def _forget(self, context: bytes) -> None:
        if self._rounds.pop(context).index is None:
            self._unanswered -= 1

    def _take_unasked(self, now: float, timeout_seconds: float) -> list[Read]:
        deadlines, count = self._gathering_deadlines, 0
        while deadlines and deadlines[0][0] <= now:
            count = deadlines.pop(0)[1]
        expired = self._gathering[:count]
        if count:
            del self._gathering[:count]
            deadlines[:] = [(deadline, seen - count) for deadline, seen in deadlines]
        if len(self._gathering) > (deadlines[-1][1] if deadlines else 0):
            deadlines.append((now + timeout_seconds, len(self._gathering)))
        return expired

    def take_all(self) -> list[Read]:
        """Return and forget every read: the member stops."""
        rounds = [*self._stale, *self._rounds.values()]
        reads = self._gathering + [read for waiting in rounds for read in waiting.reads]
        self._gathering = []
        self._gathering_deadlines.clear()
        self._rounds.clear()
        self._stale.clear()
        self._unanswered = 0
        return reads
