"""Membership entries become state: configuration changes, and what 3.5 and 3.6 members say of themselves.

    ConfChange -> is it valid now? -> raft takes it into use -> roster: v2 store and buckets
                   no: raft takes a change of nobody (id 0); nothing changes, the proposer is told why

Whether a change is valid is decided here and not when it is proposed: other changes may have come before it in the
log. Every member decides alike, because the roster at that place in the log is the same everywhere.

Upstream: server/etcdserver/server.go (applyConfChange), membership.ValidateConfigurationChange.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from etcdpy.base.errors import EtcdError
from etcdpy.base.invariant import InvariantError
from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ConfState
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.members.change import ADDED, PROMOTED, REFUSED, REMOVED, UPDATED, MembershipChange
from etcdpy.state.members.member import Member, is_promotion
from etcdpy.state.members.roster import Roster

# Raft's way to take a change into use; it returns the configuration that comes of it.
TakeIntoUse = Callable[[raft_pb2.ConfChange], ConfState]


def apply_change(
    roster: Roster, change: raft_pb2.ConfChange, take_into_use: TakeIntoUse, *, mirror: bool
) -> MembershipChange:
    """Make `change`, or refuse it; `mirror` as in the roster."""
    member_id = change.node_id
    kind = REFUSED
    member: Member | None = None
    error: EtcdError | None = None
    try:
        roster.check_change(change)
    except EtcdError as refusal:
        error = refusal
        change.node_id = 0
        conf_state = take_into_use(change)
    else:
        conf_state = take_into_use(change)
        kind, member = _change_roster(roster, change, mirror=mirror)
    return MembershipChange(
        request_id=change.id,
        kind=kind,
        member_id=member_id,
        member=member,
        conf_state=conf_state,
        members=tuple(roster.get_members()),
        error=error,
    )


def _change_roster(roster: Roster, change: raft_pb2.ConfChange, *, mirror: bool) -> tuple[str, Member]:
    if change.type == raft_pb2.ConfChangeRemoveNode:
        return REMOVED, roster.remove_member(change.node_id, mirror=mirror)
    member = Member.from_json(change.context)
    if member.id != change.node_id:
        raise InvariantError(f"a configuration change of member {change.node_id:x} tells of member {member.id:x}")
    if change.type == raft_pb2.ConfChangeUpdateNode:
        return UPDATED, roster.update_peer_urls(member.id, member.peer_urls, mirror=mirror)
    if is_promotion(change.context):
        return PROMOTED, roster.promote_member(member.id, mirror=mirror)
    return ADDED, roster.add_member(member, mirror=mirror)


def apply_request(roster: Roster, kind: int, request: Any, *, mirror: bool) -> None:
    """Apply what 3.6 members say by requests of their own, where older ones use v2 requests."""
    if kind == kinds.CLUSTER_VERSION_SET:
        roster.set_version(request.ver.decode(), mirror=mirror)
    elif kind == kinds.CLUSTER_MEMBER_ATTR_SET:
        attributes = request.member_attributes
        client_urls = [url.decode(errors="surrogateescape") for url in attributes.client_urls]
        roster.update_attributes(request.member_ID, attributes.name.decode(errors="surrogateescape"), client_urls)
    else:
        roster.set_downgrade(request.ver.decode() if request.enabled else "", mirror=mirror)
