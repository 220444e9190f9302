"""Who leads, as those see it who ask the leader something outside of raft."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from etcdpy.server.member import Member
from etcdpy.state.members import Roster
from etcdpy.transport.peer_http import HttpAnswer


class LeaderView(Protocol):
    """The member and its roster. Every answer is of this moment."""

    @property
    def is_leader(self) -> bool:
        """Whether this member takes itself for the leader. That it really is takes `server.mandate`."""

    @property
    def leader_id(self) -> int:
        """Return the leader's id; 0 when there is none."""

    def leader_peer_urls(self) -> Sequence[str]:
        """Return where the leader's peer port is; nothing when there is no leader, or none that we know."""


class PeerFetch(Protocol):
    """One HTTP request to another member: `transport.peer_http.fetch` or a kept connection. Raises OSError."""

    async def __call__(
        self,
        url: str,
        *,
        method: str,
        body: bytes,
        headers: dict[str, str],
        timeout_seconds: float,
        body_bytes_max: int,
    ) -> HttpAnswer: ...


class RosterView:
    """The LeaderView of a member and its roster."""

    def __init__(self, member: Member, roster: Roster) -> None:
        self._member = member
        self._roster = roster

    @property
    def is_leader(self) -> bool:
        return self._member.is_leader

    @property
    def leader_id(self) -> int:
        return self._member.leader_id

    def leader_peer_urls(self) -> Sequence[str]:
        leader = self._roster.find_member(self._member.leader_id)
        return leader.peer_urls if leader is not None else ()
