"""The version monitor: a leader keeps the cluster's version at that of its oldest member.

    new leader, then every 4 s:  /version of everybody -> the oldest -> PUT /0/version when that is a step forward

While not all members answer nothing is decided, but a cluster that has no version yet gets the lowest there is, so that
members can join it. The version never goes back, except to the target of a downgrade.

Upstream: server/etcdserver/server.go (monitorVersions), cluster_util.go (decideClusterVersion).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from etcdpy.base.errors import EtcdError, Stopped
from etcdpy.base.ids import format_id
from etcdpy.base.log import log_info, log_warn
from etcdpy.base.version import VERSION
from etcdpy.state.members import Member, Roster
from etcdpy.state.members.roster import VERSION_PATH
from etcdpy.state.members.versions import CLUSTER_VERSION_MIN, MinorVersion, is_valid_change, parse_version

# Upstream's monitorVersionInterval.
MONITOR_SECONDS: Final = 4.0

# Asks other members for what they serve at /version as `etcdserver`; None for one that does not answer.
AskVersions = Callable[[Sequence[Member]], Awaitable[Mapping[int, str | None]]]


class Publisher(Protocol):
    """Who brings a v2 request into the log: the service. Raise EtcdError."""

    def propose_v2_put(self, path: str, value: str) -> Awaitable[object]: ...


class LeaderView(Protocol):
    @property
    def is_leader(self) -> bool: ...


class VersionMonitor:
    """Decides the cluster's version, on the leader."""

    def __init__(
        self,
        *,
        raft: LeaderView,
        roster: Roster,
        publisher: Publisher,
        member_id: int,
        log: logging.Logger,
    ) -> None:
        self._raft = raft
        self._roster = roster
        self._publisher = publisher
        self._member_id = member_id
        self._log = log
        self._wake = asyncio.Event()
        self.ask_versions: AskVersions = _nobody_answers

    async def run(self) -> None:
        """Look after the version until cancelled."""
        while True:
            try:
                async with asyncio.timeout(MONITOR_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await self.look()

    def wake(self) -> None:
        """Look at once: this member has begun to lead."""
        self._wake.set()

    async def look(self) -> None:
        """Decide now, where this member leads; return when the cluster knows, or could not be told."""
        if not self._raft.is_leader:
            return
        decided = decide_version(await self._ask_everybody(), self._log)
        current = self._roster.version
        if not current:
            await self._set_version(CLUSTER_VERSION_MIN if decided is None else decided.full)
        elif decided is not None and is_valid_change(
            current=parse_version(current), decided=decided, downgrade_target=self._roster.downgrade_target
        ):
            await self._set_version(decided.full)

    async def _ask_everybody(self) -> dict[int, str | None]:
        others = [member for member in self._roster.get_members() if member.id != self._member_id]
        answers = dict(await self.ask_versions(others)) if others else {}
        versions: dict[int, str | None] = {member.id: answers.get(member.id) for member in others}
        versions[self._member_id] = VERSION
        return versions

    async def _set_version(self, version: str) -> None:
        shown = str(parse_version(version))
        if self._roster.version:
            before = str(parse_version(self._roster.version))
            log_info(self._log, "updating cluster version using v2 API", **{"from": before, "to": shown})
        else:
            log_info(self._log, "setting up initial cluster version using v2 API", cluster_version=shown)
        try:
            await self._publisher.propose_v2_put(VERSION_PATH, version)
        except Stopped as error:
            log_warn(self._log, "aborting cluster version update; server is stopped", error=error.text)
        except EtcdError as error:
            log_warn(self._log, "failed to update cluster version", error=error.text)
        else:
            log_info(self._log, "cluster version is updated", cluster_version=shown)


def decide_version(versions: Mapping[int, str | None], log: logging.Logger) -> MinorVersion | None:
    """Return the oldest of the members' versions; None while one of them is not known."""
    own = parse_version(VERSION)
    decided: MinorVersion | None = None
    for member_id, text in sorted(versions.items()):
        if text is None:
            return None
        about = {"remote_member_id": format_id(member_id), "remote_member_version": text}
        try:
            version = parse_version(text)
        except ValueError as error:
            log_warn(log, "failed to parse server version of remote member", **about, error=str(error))
            return None
        if version > own:
            log_warn(log, "leader found higher-versioned member", local_member_version=VERSION, **about)
        decided = version if decided is None else min(decided, version)
    return decided


async def _nobody_answers(members: Sequence[Member]) -> Mapping[int, str | None]:
    """Before the peers' HTTP is wired."""
    return {}
