"""Who votes and who learns: the configuration that a node works with.

    incoming        the voters of the configuration (or of the one being entered)
    outgoing        the voters of the one being left; empty unless joint
    learners        receive the log and do not vote
    learners_next   voters of `outgoing` that become learners when the joint configuration is left

Rules
  * A learner is in neither group of voters.
  * learners_next is a part of outgoing, and empty unless joint; so is auto_leave.
  * A joint configuration decides by majorities of both groups (thesis 4.3).

Upstream: raft/tracker/tracker.go (Config).
"""

from __future__ import annotations

from collections.abc import Collection

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ConfState


def describe_ids(ids: Collection[int]) -> str:
    return "(" + " ".join(str(member) for member in sorted(ids)) + ")"


class Membership:
    """See the top of the file."""

    __slots__ = ("incoming", "outgoing", "learners", "learners_next", "auto_leave")

    def __init__(self) -> None:
        self.incoming: set[int] = set()
        self.outgoing: set[int] = set()
        self.learners: set[int] = set()
        self.learners_next: set[int] = set()
        self.auto_leave = False

    @staticmethod
    def from_conf_state(conf_state: ConfState) -> Membership:
        membership = Membership()
        membership.incoming = set(conf_state.voters)
        membership.outgoing = set(conf_state.voters_outgoing)
        membership.learners = set(conf_state.learners)
        membership.learners_next = set(conf_state.learners_next)
        membership.auto_leave = conf_state.auto_leave
        return membership

    def to_conf_state(self) -> ConfState:
        return ConfState(
            voters=sorted(self.incoming),
            learners=sorted(self.learners),
            voters_outgoing=sorted(self.outgoing),
            learners_next=sorted(self.learners_next),
            auto_leave=self.auto_leave,
        )

    def copy(self) -> Membership:
        return Membership.from_conf_state(self.to_conf_state())

    def __str__(self) -> str:
        text = f"voters={describe_ids(self.incoming)}"
        if self.outgoing:
            text += f"&&{describe_ids(self.outgoing)}"
        if self.learners:
            text += f" learners={describe_ids(self.learners)}"
        if self.learners_next:
            text += f" learners_next={describe_ids(self.learners_next)}"
        if self.auto_leave:
            text += " autoleave"
        return text

    def is_joint(self) -> bool:
        return bool(self.outgoing)

    def voters(self) -> list[int]:
        """Return every id that votes in either group, sorted."""
        return sorted(self.incoming | self.outgoing)

    def is_voter(self, member: int) -> bool:
        return member in self.incoming or member in self.outgoing

    def check_invariants(self) -> None:
        voters = self.incoming | self.outgoing
        if self.learners & voters:
            raise InvariantError(f"{describe_ids(self.learners & voters)} both vote and learn")
        if not self.learners_next <= self.outgoing:
            raise InvariantError(f"{describe_ids(self.learners_next - self.outgoing)} are not leaving as voters")
        if not self.outgoing and (self.learners_next or self.auto_leave):
            raise InvariantError(f"half joint configuration: {self}")
