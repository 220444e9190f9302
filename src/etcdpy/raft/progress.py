"""What the leader knows of one member's log, and how it sends to it.

    probe       where the logs part is unknown: one append at a time, until an answer shows the place
    replicate   known: appends are streamed ahead of the answers, within the window
    snapshot    the entries it needs are compacted: nothing is sent until the snapshot has arrived

Rules
  * match < next. Everything up to `match` is surely in the member's log; `next` is what is sent next.
  * sent_commit: the commit index sent last; it may go back, which costs a message and loses nothing.
  * The window is used while replicating only; changing state empties it.
  * `is_flow_paused`: nothing more is sent until an answer or a heartbeat's answer comes.

Upstream: raft/tracker/progress.go, raft/tracker/state.go.
"""

from __future__ import annotations

from typing import Final

from etcdpy.base.invariant import InvariantError
from etcdpy.raft.inflights import Inflights

PROBE: Final = 0
REPLICATE: Final = 1
SNAPSHOT: Final = 2

PROGRESS_NAMES: Final = ("StateProbe", "StateReplicate", "StateSnapshot")


class Progress:
    """See the top of the file."""

    __slots__ = (
        "match",
        "next",
        "sent_commit",
        "state",
        "pending_snapshot",
        "is_recently_active",
        "is_flow_paused",
        "is_learner",
        "inflights",
    )

    def __init__(self, *, match: int, next: int, inflights: Inflights, is_learner: bool = False) -> None:
        self.match = match
        self.next = next
        self.sent_commit = 0
        self.state = PROBE
        self.pending_snapshot = 0  # Index of the snapshot on its way; 0 but in SNAPSHOT.
        self.is_recently_active = False
        self.is_flow_paused = False
        self.is_learner = is_learner
        self.inflights = inflights

    def __str__(self) -> str:
        parts = [f"{PROGRESS_NAMES[self.state]} match={self.match} next={self.next}"]
        if self.is_learner:
            parts.append("learner")
        if self.is_paused():
            parts.append("paused")
        if self.pending_snapshot:
            parts.append(f"pendingSnap={self.pending_snapshot}")
        if not self.is_recently_active:
            parts.append("inactive")
        if len(self.inflights):
            parts.append(f"inflight={len(self.inflights)}" + ("[full]" if self.inflights.is_full() else ""))
        return " ".join(parts)

    def copy(self) -> Progress:
        """Return a copy that shares the window: only one of the two lives on."""
        other = Progress(match=self.match, next=self.next, inflights=self.inflights, is_learner=self.is_learner)
        other.sent_commit = self.sent_commit
        other.state = self.state
        other.pending_snapshot = self.pending_snapshot
        other.is_recently_active = self.is_recently_active
        other.is_flow_paused = self.is_flow_paused
        return other

    def _change_state(self, state: int) -> None:
        self.state = state
        self.is_flow_paused = False
        self.pending_snapshot = 0
        self.inflights.clear()

    def become_probe(self) -> None:
        # After a snapshot it is worth probing right behind it, not behind the old match.
        next_index = max(self.match, self.pending_snapshot) + 1
        self._change_state(PROBE)
        self._move_next_back(next_index)

    def become_replicate(self) -> None:
        self._change_state(REPLICATE)
        self.next = self.match + 1

    def become_snapshot(self, index: int) -> None:
        self._change_state(SNAPSHOT)
        self.pending_snapshot = index
        self.next = index + 1
        self.sent_commit = index

    def _move_next_back(self, next_index: int) -> None:
        """Set `next`; a commit index beyond it counts as not sent, for the appends that carried it may be lost."""
        self.next = next_index
        self.sent_commit = min(self.sent_commit, next_index - 1)

    def note_sent(self, *, count: int, size: int, committed: int) -> None:
        """Note that an append of `count` entries (`size` bytes of data) with that commit index goes out."""
        if self.state == REPLICATE:
            if count:
                self.next += count
                self.inflights.add(self.next - 1, size)
            # Once full, one empty append goes through; it must not be followed by more of them.
            self.is_flow_paused = self.inflights.is_full()
        elif self.state == PROBE:
            if count:
                self.is_flow_paused = True
        else:
            raise InvariantError(f"sending appends in {PROGRESS_NAMES[self.state]}")
        self.sent_commit = committed

    def can_bump_commit(self, committed: int) -> bool:
        """Return whether telling `committed` would move the member's commit index further."""
        return committed > self.sent_commit and self.sent_commit < self.next - 1

    def maybe_update(self, index: int) -> bool:
        """Note that the member holds everything up to `index`; return whether that is news."""
        if index <= self.match:
            return False
        self.match = index
        if self.next <= index:
            self.next = index + 1
        self.is_flow_paused = False
        return True

    def maybe_decrease(self, *, rejected: int, hint: int) -> bool:
        """Go back after the append at `rejected` was refused; `hint` is where logs may agree.

        Return False for an answer that is out of date.
        """
        if self.state == REPLICATE:
            if rejected <= self.match:
                return False
            self._move_next_back(self.match + 1)
            return True
        # While probing, only the append sent last can be meant.
        if self.next - 1 != rejected:
            return False
        self._move_next_back(max(min(rejected, hint + 1), self.match + 1))
        self.is_flow_paused = False
        return True

    def is_paused(self) -> bool:
        """Return whether nothing may be sent now."""
        return self.is_flow_paused if self.state != SNAPSHOT else True

    def check_invariants(self) -> None:
        if self.match >= self.next:
            raise InvariantError(f"match {self.match} is not below next {self.next}")
        if self.pending_snapshot and self.state != SNAPSHOT:
            raise InvariantError(f"snapshot {self.pending_snapshot} pending in {PROGRESS_NAMES[self.state]}")
        if self.state != REPLICATE and len(self.inflights):
            raise InvariantError(f"window in use in {PROGRESS_NAMES[self.state]}")
        self.inflights.check_invariants()
