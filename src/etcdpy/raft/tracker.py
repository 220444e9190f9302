"""Everybody in the configuration: their progress as the leader sees it, and their votes as a candidate counts them.

Rules
  * There is a progress for each id of the membership, and for nobody else.
  * progress[id].is_learner says whether the id is in `learners`.
  * `member_ids` is the sorted list of all of them: messages go out in this order on every run.

Upstream: raft/tracker/tracker.go.
"""

from __future__ import annotations

from etcdpy.base.invariant import InvariantError
from etcdpy.raft.inflights import Inflights
from etcdpy.raft.membership import Membership
from etcdpy.raft.progress import Progress
from etcdpy.raft.quorum import INFINITE_INDEX, VOTE_WON, joint_vote


def _majority_match(voters: set[int], progress: dict[int, Progress]) -> int:
    """quorum.majority_committed without a mapping in between: it runs on every acknowledgement."""
    if not voters:
        return INFINITE_INDEX
    matches = [progress[voter].match for voter in voters]
    matches.sort()
    return matches[(len(matches) - 1) // 2]


class Tracker:
    """See the top of the file."""

    __slots__ = ("membership", "progress", "member_ids", "votes", "inflight_messages_max", "inflight_bytes_max")

    def __init__(self, inflight_messages_max: int, inflight_bytes_max: int = 0) -> None:
        self.inflight_messages_max = inflight_messages_max
        self.inflight_bytes_max = inflight_bytes_max
        self.membership = Membership()
        self.progress: dict[int, Progress] = {}
        self.member_ids: list[int] = []
        self.votes: dict[int, bool] = {}

    def switch(self, membership: Membership, progress: dict[int, Progress]) -> None:
        """Take over a configuration, as `confchange` computed it."""
        self.membership = membership
        self.progress = progress
        self.member_ids = sorted(progress)

    def new_progress(self, *, match: int, next: int, is_learner: bool) -> Progress:
        inflights = Inflights(self.inflight_messages_max, self.inflight_bytes_max)
        return Progress(match=match, next=next, inflights=inflights, is_learner=is_learner)

    def committed(self) -> int:
        """Return the highest index that a quorum holds. Upstream: quorum.JointConfig.CommittedIndex."""
        membership = self.membership
        index = _majority_match(membership.incoming, self.progress)
        if membership.outgoing:
            return min(index, _majority_match(membership.outgoing, self.progress))
        return index

    def is_quorum_active(self) -> bool:
        """Return whether the leader has heard from a quorum since it last asked."""
        active = {member: p.is_recently_active for member, p in self.progress.items() if not p.is_learner}
        return joint_vote(self.membership.incoming, self.membership.outgoing, active) == VOTE_WON

    def is_won_by(self, members: set[int]) -> bool:
        """Return whether `members` are a quorum."""
        votes = dict.fromkeys(members, True)
        return joint_vote(self.membership.incoming, self.membership.outgoing, votes) == VOTE_WON

    def reset_votes(self) -> None:
        self.votes = {}

    def record_vote(self, member: int, is_granted: bool) -> None:
        """Keep the first vote of `member`: it cannot change its mind within a term."""
        self.votes.setdefault(member, is_granted)

    def tally_votes(self) -> tuple[int, int, int]:
        """Return (granted, rejected, result). Votes of those who left the configuration or learn do not count."""
        granted = rejected = 0
        for member in self.member_ids:
            vote = self.votes.get(member)
            if vote is None or self.progress[member].is_learner:
                continue
            if vote:
                granted += 1
            else:
                rejected += 1
        return granted, rejected, joint_vote(self.membership.incoming, self.membership.outgoing, self.votes)

    def describe_progress(self) -> str:
        """Return one line for each member, as the scenarios print it."""
        return describe_progress(self.progress)

    def check_invariants(self) -> None:
        self.membership.check_invariants()
        membership = self.membership
        expected = membership.incoming | membership.outgoing | membership.learners
        if set(self.progress) != expected:
            raise InvariantError(f"progress of {sorted(self.progress)}, members {sorted(expected)}")
        if self.member_ids != sorted(self.progress):
            raise InvariantError(f"member ids are {self.member_ids}, progress of {sorted(self.progress)}")
        for member, progress in self.progress.items():
            if progress.is_learner != (member in membership.learners):
                raise InvariantError(f"{member:x} learns: {progress.is_learner}, but {membership}")
            progress.check_invariants()


def describe_progress(progress: dict[int, Progress]) -> str:
    return "".join(f"{member}: {progress[member]}\n" for member in sorted(progress))
