"""Founding: what every member of a new cluster writes before it knows the others.

Each of them computes the same ids from the same flags and begins its log with the same entries, one for each member in
the order of their ids: everybody joins, in term 1, committed. So no member needs another one to begin.

    entry 1 .. n   ConfChangeAddNode, context: the member as JSON       hard state   term 1, no vote, commit n

Upstream: membership.NewClusterFromURLsMap, raft.RawNode.Bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from etcdpy.base.ids import compute_cluster_id, compute_member_id
from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, Entry, HardState
from etcdpy.state.members import Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Founding:
    """A cluster that begins to be. `members` are sorted by id."""

    member_id: int  # of this member
    cluster_id: int
    members: tuple[Member, ...]

    def entries(self) -> list[Entry]:
        """Return the beginning of the log."""
        return [
            Entry(1, index, ENTRY_CONF_CHANGE, encode_add_node(member)) for index, member in enumerate(self.members, 1)
        ]

    def hard_state(self) -> HardState:
        """Return the state that makes the beginning a committed one."""
        return HardState(term=1, vote=0, commit=len(self.members))


def plan_founding(initial_cluster: Mapping[str, tuple[str, ...]], name: str, token: str) -> Founding:
    """Return the cluster of these members, peer URLs by name, as the member `name` founds it."""
    members = plan_members(initial_cluster, token)
    return Founding(
        member_id=next(member.id for member in members if member.name == name),
        cluster_id=compute_cluster_id(member.id for member in members),
        members=members,
    )


def plan_members(initial_cluster: Mapping[str, tuple[str, ...]], token: str) -> tuple[Member, ...]:
    """Return the members with the ids that they get when they found a cluster, sorted by id."""
    members = [
        Member(id=compute_member_id(urls, token), peer_urls=tuple(sorted(urls)), name=name)
        for name, urls in initial_cluster.items()
    ]
    return tuple(sorted(members, key=lambda member: member.id))


def encode_add_node(member: Member) -> bytes:
    """Return the data of the entry with which `member` joins."""
    return raft_pb2.ConfChange(
        id=0, type=raft_pb2.ConfChangeAddNode, node_id=member.id, context=member.to_json().encode()
    ).SerializeToString()
