"""Joining: what a member asks the cluster that it shall belong to, before it has a log of its own.

    new        do the others know this very member as one that has served?   then its data was lost: it must not found
    existing   who are you, and which version?   ids and members come from there; the log is empty

A cluster that cannot be reached does not keep a new one from being founded: maybe we are the first.

Upstream: server/etcdserver/cluster_util.go, membership.ValidateClusterAndAssignIDs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_warn
from etcdpy.server.compatible import Ask, is_compatible
from etcdpy.server.url_match import wait_difference
from etcdpy.state.members import Member
from etcdpy.transport.peer_http import fetch

MEMBERS_PATH: Final = "/members"
CLUSTER_ID_HEADER: Final = "x-etcd-cluster-id"
# As upstream: enough for a connection and an election in between.
JOIN_SECONDS_MAX: Final = 10.0
# As upstream: who founds a cluster does not wait long for those who are perhaps not there yet.
FOUND_SECONDS_MAX: Final = 1.0


class JoinRefused(Exception):
    """There is no cluster, or it is another one than was described. `str()` is etcd's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """A place in a cluster that exists."""

    member_id: int
    cluster_id: int
    members: tuple[Member, ...]  # as described by --initial-cluster, with the cluster's ids; sorted by id
    remotes: tuple[Member, ...]  # the same members, as the cluster knows them; sorted by id


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCluster:
    cluster_id: int
    members: tuple[Member, ...]  # Invariant: sorted by id, not empty.

    def __str__(self) -> str:
        """As Go prints it."""
        members = " ".join(map(_go_text, self.members))
        return f"{{ClusterID:{format_id(self.cluster_id)} Members:[{members}] RemovedMemberIDs:[]}}"


def _go_text(member: Member) -> str:
    peer_urls, client_urls = " ".join(member.peer_urls), " ".join(member.client_urls)
    return (
        f"&{{ID:{format_id(member.id)} "
        f"RaftAttributes:{{PeerURLs:[{peer_urls}] IsLearner:{str(member.is_learner).lower()}}} "
        f"Attributes:{{Name:{member.name} ClientURLs:[{client_urls}]}}}}"
    )


async def is_bootstrapped(members: Sequence[Member], member_id: int, ask: Ask = fetch) -> bool:
    """Return whether the others know `member_id` as a member that has published its client URLs."""
    try:
        cluster = await _ask_for_cluster(_urls_of_others(members, member_id), FOUND_SECONDS_MAX, None, ask)
    except JoinRefused:
        return False
    return any(member.id == member_id and member.client_urls for member in cluster.members)


async def join(members: Sequence[Member], name: str, log: logging.Logger, ask: Ask = fetch) -> Joining:
    """Return the place of the member `name` in the cluster that `members` describe. Raise JoinRefused."""
    own = next(member for member in members if member.name == name)
    try:
        cluster = await _ask_for_cluster(_urls_of_others(members, own.id), JOIN_SECONDS_MAX, log, ask)
    except JoinRefused as error:
        raise JoinRefused(f"cannot fetch cluster info from peer urls: {error}") from None
    try:
        known = await _match_members(members, cluster.members)
    except JoinRefused as error:
        raise JoinRefused(f"error validating peerURLs {cluster}: {error}") from None
    member_id = next(member.id for member in known if member.name == name)
    if not await is_compatible(known, member_id, log, ask):
        raise JoinRefused("incompatible with current running cluster")
    return Joining(member_id=member_id, cluster_id=cluster.cluster_id, members=known, remotes=cluster.members)


def _urls_of_others(members: Iterable[Member], member_id: int) -> list[str]:
    return sorted(url for member in members if member.id != member_id for url in member.peer_urls)


async def _ask_for_cluster(
    urls: list[str], timeout_seconds: float, log: logging.Logger | None, ask: Ask
) -> RemoteCluster:
    """Return what the first of `urls` that answers knows. Raise JoinRefused. Without `log` failures are not told."""
    for url in urls:
        address = url + MEMBERS_PATH
        try:
            answer = await ask(address, timeout_seconds=timeout_seconds)
            # Whatever the status, as upstream: what cannot be read is no answer.
            members = _read_members(answer.body)
        except OSError as error:
            _warn(log, "failed to get cluster response", address, error)
            continue
        except (ValueError, KeyError, TypeError) as error:
            _warn(log, "failed to unmarshal cluster response", address, error)
            continue
        text = answer.headers.get(CLUSTER_ID_HEADER, "")
        try:
            cluster_id = int(text, 16)
        except ValueError as error:
            _warn(log, "failed to parse cluster ID", address, error)
            continue
        if not members:
            raise JoinRefused("failed to get raft cluster member(s) from the given URLs")
        return RemoteCluster(cluster_id=cluster_id, members=members)
    raise JoinRefused("could not retrieve cluster information from the given URLs")


def _warn(log: logging.Logger | None, text: str, address: str, error: Exception) -> None:
    if log is not None:
        log_warn(log, text, address=address, error=str(error) or type(error).__name__)


def _read_members(body: bytes) -> tuple[Member, ...]:
    records = json.loads(body)
    if not isinstance(records, list):
        raise ValueError("members are no list")
    members = {member.id: member for member in (Member.from_json(json.dumps(record)) for record in records)}
    return tuple(members[member_id] for member_id in sorted(members))


async def _match_members(described: Sequence[Member], existing: Sequence[Member]) -> tuple[Member, ...]:
    """Return the described members with the ids of the existing ones. Raise JoinRefused."""
    if len(described) != len(existing):
        raise JoinRefused("member count is unequal")
    ids: dict[str, int] = {}
    for member in existing:
        difference = ""
        for candidate in described:
            difference = await wait_difference(member.peer_urls, candidate.peer_urls)
            if not difference:
                ids[candidate.name] = member.id
                break
        if difference:
            raise JoinRefused(
                f"PeerURLs: no match found for existing member ({format_id(member.id)}, "
                f"[{' '.join(member.peer_urls)}]), last resolver error ({difference})"
            )
    if len(ids) != len(described):
        # Upstream would go on with two members under one id.
        raise JoinRefused("member count is unequal")
    return tuple(sorted((replace(member, id=ids[member.name]) for member in described), key=lambda member: member.id))
