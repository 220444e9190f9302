"""The downgrade monitor: a leader notices that all members have come down to the target version, and ends it.

Every `--downgrade-check-time` the leader asks the others what cluster version they know. Once it is the target
everywhere there is nothing left to allow.

Upstream: EtcdServer.monitorDowngrade.
"""

from __future__ import annotations

import asyncio
import logging

from etcdpy.base.errors import EtcdError
from etcdpy.base.ids import format_id
from etcdpy.base.log import log_info, log_warn
from etcdpy.server.downgrade import Downgrades
from etcdpy.server.version_monitor import AskVersions, LeaderView
from etcdpy.state.members import Roster
from etcdpy.state.members.versions import parse_version


class DowngradeMonitor:
    """Looks after a downgrade, on the leader."""

    def __init__(
        self,
        downgrades: Downgrades,
        *,
        raft: LeaderView,
        roster: Roster,
        ask_cluster_versions: AskVersions,
        member_id: int,
        check_seconds: float,
        log: logging.Logger,
    ) -> None:
        self._downgrades = downgrades
        self._raft = raft
        self._roster = roster
        self._ask = ask_cluster_versions
        self._member_id = member_id
        self._check_seconds = check_seconds
        self._log = log

    async def run(self) -> None:
        """Look every now and then until cancelled; with a time of 0 never."""
        while self._check_seconds > 0:
            await asyncio.sleep(self._check_seconds)
            await self.look()

    async def look(self) -> None:
        """End the downgrade now if it is done."""
        target = self._roster.downgrade_target
        if not target or not self._raft.is_leader or not await self._have_all_come_down(target):
            return
        log_info(self._log, "the cluster has been downgraded", cluster_version=target)
        try:
            await self._downgrades.cancel()
        except EtcdError as error:
            log_warn(self._log, "failed to cancel downgrade", error=error.text)

    async def _have_all_come_down(self, target: str) -> bool:
        others = [member for member in self._roster.get_members() if member.id != self._member_id]
        answers = dict(await self._ask(others)) if others else {}
        versions = {member.id: answers.get(member.id) for member in others}
        versions[self._member_id] = self._roster.version
        return all(self._is_at(target, member_id, version) for member_id, version in sorted(versions.items()))

    def _is_at(self, target: str, member_id: int, version: str | None) -> bool:
        if version is None:
            return False
        about = {"remote_member_id": format_id(member_id)}
        try:
            is_there = parse_version(version) == parse_version(target)
        except ValueError as error:
            log_warn(self._log, "failed to parse server version of remote member", **about, error=str(error))
            return False
        if not is_there:
            log_warn(
                self._log,
                "remotes server has mismatching etcd version",
                **about,
                current_server_version=version,
                target_version=target,
            )
        return is_there
