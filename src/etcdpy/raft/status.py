"""A node's state, to look at: copies, that later steps do not change.

Upstream: raft/status.go.
"""

from __future__ import annotations

from etcdpy.pb.raft_values import HardState
from etcdpy.raft.constants import LEADER, ROLE_NAMES
from etcdpy.raft.membership import Membership
from etcdpy.raft.progress import Progress
from etcdpy.raft.raft import Raft


class BasicStatus:
    """Term, vote, indexes, leader and role of one node."""

    __slots__ = (
        "id",
        "term",
        "vote",
        "commit",
        "applied",
        "last_index",
        "leader_id",
        "role",
        "is_learner",
        "transferee",
    )

    def __init__(self, raft: Raft) -> None:
        self.id = raft.id
        self.term = raft.term
        self.vote = raft.vote
        self.commit = raft.log.committed
        self.applied = raft.log.applied
        self.last_index = raft.log.last_index
        self.leader_id = raft.leader_id
        self.role = raft.role
        self.is_learner = raft.is_learner
        self.transferee = raft.transferee

    @property
    def role_name(self) -> str:
        return ROLE_NAMES[self.role]

    @property
    def hard_state(self) -> HardState:
        return HardState(self.term, self.vote, self.commit)


class Status(BasicStatus):
    """The same, with the configuration; `progress` is empty on all but the leader."""

    __slots__ = ("membership", "progress")

    def __init__(self, raft: Raft) -> None:
        super().__init__(raft)
        self.membership: Membership = raft.tracker.membership.copy()
        self.progress: dict[int, Progress] = {}
        if raft.role == LEADER:
            self.progress = {member: progress.copy() for member, progress in raft.tracker.progress.items()}


def basic_status_of(raft: Raft) -> BasicStatus:
    return BasicStatus(raft)


def status_of(raft: Raft) -> Status:
    return Status(raft)
