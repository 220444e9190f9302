"""Counts heartbeats that left late: etcd_server_heartbeat_send_failures_total.

A leader's heartbeats leave with its ticks, before anything is written. A tick that comes more than two intervals after
the one before it was held up, by a disk or for want of processor time, and so was the heartbeat to every follower.
"""

from __future__ import annotations

import logging
from typing import Final, Protocol

from etcdpy.base.ids import format_id
from etcdpy.base.log import Duration, log_warn
from etcdpy.state.members import Roster

# Upstream's: twice the interval.
LATE_INTERVALS: Final = 2


class Leading(Protocol):
    @property
    def is_leader(self) -> bool: ...


class LateHeartbeats:
    """Told of every tick."""

    def __init__(
        self, *, member: Leading, member_id: int, roster: Roster, tick_seconds: float, now: float, log: logging.Logger
    ) -> None:
        self._member = member
        self._member_id = member_id
        self._roster = roster
        self._tick_seconds = tick_seconds
        self._ticked_at = now
        self._log = log
        self.total = 0

    def tick(self, now: float) -> None:
        exceeded = now - self._ticked_at - LATE_INTERVALS * self._tick_seconds
        self._ticked_at = now
        if exceeded <= 0 or not self._member.is_leader:
            return
        for member in self._roster.get_members():
            if member.id != self._member_id:
                self.total += 1
                self._warn(member.id, exceeded)

    def _warn(self, follower: int, exceeded: float) -> None:
        log_warn(
            self._log,
            "leader failed to send out heartbeat on time; took too long, leader is overloaded likely from slow disk",
            to=format_id(follower),
            heartbeat_interval=Duration(self._tick_seconds),
            expected_duration=Duration(LATE_INTERVALS * self._tick_seconds),
            exceeded_duration=Duration(exceeded),
        )
