"""Handing leadership over: when an operator asks for it, and before a leader stops.

    MoveLeader     leader -> a voter by name; done when this member sees it lead
    stopping       leader -> the voter we have been connected to for longest; done, or given up after a while

Raft itself gives a transfer up after an election timeout; until then it drops proposals. Whoever waits longer than a
request may take is told so.

Upstream: server/etcdserver/server.go (MoveLeader, TransferLeadership).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Protocol

from etcdpy.base.errors import BadLeaderTransferee, EtcdError, NotLeader, Unhealthy
from etcdpy.base.ids import format_id
from etcdpy.base.log import Duration, log_info, log_warn
from etcdpy.server.strict_checks import Connections, voters_of
from etcdpy.state.members import Member, Roster


class TimeoutLeaderTransfer(EtcdError):
    text = "etcdserver: request timed out, leader transfer took too long"


class Raft(Protocol):
    """What must be known of raft here, and how it is told to hand over."""

    @property
    def is_leader(self) -> bool: ...

    @property
    def leader_id(self) -> int: ...

    def transfer_leader(self, transferee: int) -> None: ...


class Turns(Protocol):
    """Who makes raft's messages leave: the member's loop."""

    def schedule(self) -> None: ...


class Leadership:
    """Moves leadership away from this member."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        raft: Raft,
        turns: Turns,
        roster: Roster,
        connections: Connections,
        member_id: int,
        tick_seconds: float,
        timeout_seconds: float,
        log: logging.Logger,
    ) -> None:
        self._loop = loop
        self._raft = raft
        self._turns = turns
        self._roster = roster
        self._connections = connections
        self._member_id = member_id
        self._tick_seconds = tick_seconds
        self._timeout_seconds = timeout_seconds
        self._log = log

    async def move_leader(self, transferee: int, *, deadline: float | None = None) -> None:
        """Hand over to `transferee` and wait until it leads; `deadline` is the client's, in loop time."""
        if not self._raft.is_leader:
            raise NotLeader
        target = self._roster.find_member(transferee)
        if target is None or target.is_learner:
            raise BadLeaderTransferee
        started = self._loop.time()
        give_up = started + self._timeout_seconds
        if deadline is not None:
            give_up = min(give_up, deadline)
        ids = {"local_member_id": format_id(self._member_id)}
        leader = format_id(self._raft.leader_id)
        log_info(
            self._log,
            "leadership transfer starting",
            **ids,
            current_leader_member_id=leader,
            transferee_member_id=format_id(transferee),
        )
        await self._wait_handed_over(transferee, give_up)
        log_info(
            self._log,
            "leadership transfer finished",
            **ids,
            old_leader_member_id=leader,
            new_leader_member_id=format_id(transferee),
            took=Duration(self._loop.time() - started),
        )

    async def _wait_handed_over(self, transferee: int, give_up: float) -> None:
        self._raft.transfer_leader(transferee)
        self._turns.schedule()
        while self._raft.leader_id != transferee:
            left = give_up - self._loop.time()
            if left <= 0:
                raise TimeoutLeaderTransfer
            await asyncio.sleep(min(self._tick_seconds, left))

    async def try_transfer_leadership(self) -> None:
        """Before a stop: leave a leader behind where that can be. Never raises EtcdError; what failed is logged."""
        ids = {
            "local_member_id": format_id(self._member_id),
            "current_leader_member_id": format_id(self._raft.leader_id),
        }
        if not self._raft.is_leader:
            log_info(self._log, "skipped leadership transfer; local server is not leader", **ids)
            return
        voters = voters_of(self._roster.get_members())
        if len(voters) < 2:
            log_info(self._log, "skipped leadership transfer for single voting member cluster", **ids)
            return
        try:
            await self.move_leader(self._find_longest_connected(voters))
        except EtcdError as error:
            log_warn(
                self._log,
                "leadership transfer failed",
                local_member_id=format_id(self._member_id),
                error=error.text,
            )

    def _find_longest_connected(self, voters: Iterable[Member]) -> int:
        since = {member.id: self._connections.active_since(member.id) for member in voters}
        connected = [(moment, member_id) for member_id, moment in since.items() if moment is not None]
        if not connected:
            raise Unhealthy
        return min(connected)[1]
