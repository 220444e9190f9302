"""--strict-reconfig-check: whether the cluster would keep its quorum through a change of its membership.

    started     enough members that have published their name, counted as if the change were made
    connected   enough voters to whom we have been connected for a while (always to ourselves)

A member that was added and never started counts towards the quorum but not towards the votes: adding the next one
could stop the cluster. Learners do not vote and are left out. Pure arithmetic over the roster; nothing here waits.

Upstream: membership.IsReadyTo...VotingMember, server/etcdserver/util.go (3.5.33).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from etcdpy.state.members import Member

# Upstream's HealthInterval: a connection younger than this is not trusted yet.
HEALTHY_SECONDS: Final = 5.0


class Connections(Protocol):
    """What the peers' transport knows."""

    def active_since(self, member_id: int) -> float | None:
        """Return the loop time since which we are connected to a member; None: we are not."""


class NoConnections:
    """Of a member that has no peers."""

    def active_since(self, member_id: int) -> float | None:
        return None


class StartedCount(NamedTuple):
    """Members that would be started, and how many the cluster would need."""

    started: int
    quorum: int

    @property
    def is_enough(self) -> bool:
        return self.started >= self.quorum


def voters_of(members: Iterable[Member]) -> list[Member]:
    return [member for member in members if not member.is_learner]


def quorum_of(voters_total: int) -> int:
    return voters_total // 2 + 1


def count_if_added(members: Iterable[Member]) -> StartedCount:
    """Count as if a voter joined. The second member of a cluster is always welcome: that is how one is restored."""
    voters = voters_of(members)
    started = _started(voters)
    if started == 1 and len(voters) == 1:
        return StartedCount(started, 1)
    return StartedCount(started, quorum_of(len(voters) + 1))


def count_if_removed(members: Iterable[Member], member_id: int) -> StartedCount:
    rest = [member for member in voters_of(members) if member.id != member_id]
    return StartedCount(_started(rest), quorum_of(len(rest)))


def count_if_promoted(members: Iterable[Member]) -> StartedCount:
    """Count as if a learner became a voter; it has started, or it could not be in step with the leader."""
    voters = voters_of(members)
    return StartedCount(_started(voters) + 1, quorum_of(len(voters) + 1))


def _started(members: Iterable[Member]) -> int:
    return sum(member.is_started for member in members)


def count_connected(members: Iterable[Member], *, self_id: int, connections: Connections, now: float) -> int:
    """Return how many of `members` are ourselves, or connected to us for HEALTHY_SECONDS."""
    return sum(member.id == self_id or _is_healthy(connections.active_since(member.id), now) for member in members)


def _is_healthy(since: float | None, now: float) -> bool:
    return since is not None and since < now - HEALTHY_SECONDS


def is_connected_for_adding(voters: Sequence[Member], connected: int) -> bool:
    """Return whether the connected ones stay a quorum beside a newcomer who is not there yet."""
    return len(voters) == 1 or connected >= quorum_of(len(voters) + 1)


def is_connected_for_removing(voters: Sequence[Member], connected: int) -> bool:
    """Return whether the connected ones stay a quorum when one of them goes."""
    return connected - 1 >= 1 + (len(voters) - 1) // 2
