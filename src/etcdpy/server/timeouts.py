"""Why a proposal got no answer in time, as far as this member can tell.

    the leader changed around the time of the request                      ... previous leader failure
    this member lost the leader, or as leader its quorum, since then       ... connection lost
    neither, or nobody leads                                               timed out

What no leader was there to take is another matter: it was never proposed (`NeverProposed`).

The outcome is unknown in each case; the texts only help whoever reads them.

Upstream: EtcdServer.parseProposeCtxErr.
"""

from __future__ import annotations

from typing import Protocol

from etcdpy.base.errors import DEADLINE_EXCEEDED, EtcdError, Timeout, TimeoutDueToConnectionLost, TimeoutDueToLeaderFail
from etcdpy.server.member import Member


class NeverProposed(EtcdError):
    """The request waited for a leader in vain; it is not in any log and never will be."""

    code = DEADLINE_EXCEEDED
    text = "context deadline exceeded"


class Connectivity(Protocol):
    """What the peer transport knows."""

    def active_since(self, member_id: int, /) -> float | None:
        """Return since when a member is reachable, None while it is not."""


class TimeoutReasons:
    """Finds the error for a request that began at some time."""

    def __init__(self, member: Member, connectivity: Connectivity, *, election_timeout_seconds: float) -> None:
        self._member = member
        self._connectivity = connectivity
        self._election_timeout_seconds = election_timeout_seconds
        self._elected_at = float("-inf")

    def on_leader_change(self, leader_id: int, now: float) -> None:
        if leader_id:
            self._elected_at = now

    def find(self, began: float, noticed: float | None = None) -> EtcdError:
        """Return what to tell the client whose request came between `began` and `noticed`, or just then.

        Nobody looks at the clock for each request. A connection that came back in between is taken for lost, an
        election in between for over: the leader that it brought was asked.
        """
        noticed = began if noticed is None else noticed
        leader_id = self._member.leader_id
        lost_at = self._elected_at - 2 * self._election_timeout_seconds
        if lost_at < noticed < self._elected_at:
            return TimeoutDueToLeaderFail()
        if not leader_id:
            return Timeout()
        if leader_id == self._member.id:
            return Timeout() if self._has_quorum_since(began) else TimeoutDueToConnectionLost()
        return Timeout() if self._is_connected_since(leader_id, began) else TimeoutDueToConnectionLost()

    def _is_connected_since(self, member_id: int, began: float) -> bool:
        since = self._connectivity.active_since(member_id)
        return since is not None and since < began

    def _has_quorum_since(self, began: float) -> bool:
        members = self._member.conf_state.voters
        connected = [
            member for member in members if member == self._member.id or self._is_connected_since(member, began)
        ]
        return len(connected) >= len(members) // 2 + 1
