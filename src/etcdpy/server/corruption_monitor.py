"""When the corruption checks run: now and then, while this member leads.

Two tasks, each for itself: the periodic check (--experimental-corrupt-check-time) and that of compactions
(--experimental-compact-hash-check-enabled, --experimental-compact-hash-check-time). Zero seconds mean never.

Upstream: EtcdServer.monitorKVHash, EtcdServer.monitorCompactHash.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from etcdpy.base.errors import EtcdError
from etcdpy.base.ids import format_id
from etcdpy.base.log import Duration, log_info, log_warn
from etcdpy.server.corruption import CorruptionChecks
from etcdpy.server.tasks import TaskOwner


class CorruptionMonitor:
    """Starts the checks of a member again and again."""

    def __init__(
        self,
        checks: CorruptionChecks,
        *,
        is_leader: Callable[[], bool],
        member_id: int,
        periodic_seconds: float,
        compaction_seconds: float,
        log: logging.Logger,
    ) -> None:
        self._checks = checks
        self._is_leader = is_leader
        self._member_id = member_id
        self._periodic_seconds = periodic_seconds
        self._compaction_seconds = compaction_seconds
        self._log = log

    def start(self, tasks: TaskOwner) -> None:
        if self._periodic_seconds > 0:
            log_info(
                self._log,
                "enabled corruption checking",
                local_member_id=format_id(self._member_id),
                interval=Duration(self._periodic_seconds),
            )
            tasks.start(self._check_periodically())
        if self._compaction_seconds > 0:
            log_info(
                self._log,
                "enabled compact hash checking",
                local_member_id=format_id(self._member_id),
                interval=Duration(self._compaction_seconds),
            )
            tasks.start(self._check_compactions())

    async def _check_periodically(self) -> None:
        while True:
            await asyncio.sleep(self._periodic_seconds)
            if not self._is_leader():
                continue
            try:
                await self._checks.check_periodically()
            except EtcdError as error:
                log_warn(self._log, "failed to check hash KV", error=error.text)

    async def _check_compactions(self) -> None:
        while True:
            await asyncio.sleep(self._compaction_seconds)
            if self._is_leader():
                await self._checks.check_compactions()
