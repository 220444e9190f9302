"""A change of the membership as the log carries it, and what became of it.

    AddNode          context: a member       a voter joins; with isPromote: a learner becomes a voter
    AddLearnerNode   context: a member       somebody joins without a vote
    RemoveNode       no context              somebody leaves for ever
    UpdateNode       context: a member       other peer URLs, nothing else

Its `id` is the id of the request, by which the proposer is found again.

Source: raftpb.ConfChange; upstream: server/etcdserver/api/membership.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from etcdpy.base.errors import EtcdError
from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ConfState
from etcdpy.state.members.member import Member, promotion_json

# What a change did. REFUSED: nothing, on any member.
REFUSED: Final = "refused"
ADDED: Final = "added"
PROMOTED: Final = "promoted"
REMOVED: Final = "removed"
UPDATED: Final = "updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipChange:
    """A change that was applied, or refused by all members alike."""

    request_id: int
    kind: str
    member_id: int
    member: Member | None  # as it is now; of a REMOVED one as it was last; None where it was REFUSED
    conf_state: ConfState  # what raft makes of it
    members: tuple[Member, ...]  # everybody, afterwards
    error: EtcdError | None = None


def add_change(member: Member) -> raft_pb2.ConfChange:
    kind = raft_pb2.ConfChangeAddLearnerNode if member.is_learner else raft_pb2.ConfChangeAddNode
    return raft_pb2.ConfChange(id=0, type=kind, node_id=member.id, context=member.to_json().encode())


def promote_change(member_id: int) -> raft_pb2.ConfChange:
    context = promotion_json(member_id).encode()
    return raft_pb2.ConfChange(id=0, type=raft_pb2.ConfChangeAddNode, node_id=member_id, context=context)


def remove_change(member_id: int) -> raft_pb2.ConfChange:
    return raft_pb2.ConfChange(id=0, type=raft_pb2.ConfChangeRemoveNode, node_id=member_id)


def update_change(member_id: int, peer_urls: tuple[str, ...]) -> raft_pb2.ConfChange:
    context = Member(id=member_id, peer_urls=peer_urls).to_json().encode()
    return raft_pb2.ConfChange(id=0, type=raft_pb2.ConfChangeUpdateNode, node_id=member_id, context=context)
