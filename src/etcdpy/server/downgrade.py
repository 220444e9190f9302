"""Downgrades: an operator lets the cluster go back by one minor version, and may think better of it.

    validate   is the version one minor below the cluster's, and no downgrade on yet?
    enable     the same, and then through the log: from now on only members of that version may start
    cancel     through the log: it is off again

What is on stands in the roster, and in the backend's bucket `cluster`. Each looks at it after a linearizable read: what
others have decided is known by then. The end of a downgrade is seen by `downgrade_monitor`.

3.5's own members never answer enable and cancel: they apply them, and tell the client after seven seconds that the
request timed out. We answer them as 3.6 does.

Upstream: EtcdServer.Downgrade.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable
from typing import Any, Final, Protocol

from etcdpy.base.errors import (
    ClusterVersionUnavailable,
    DowngradeInProcess,
    EtcdError,
    InvalidDowngradeTargetVersion,
    NoInflightDowngrade,
    WrongDowngradeVersionFormat,
)
from etcdpy.base.log import log_warn
from etcdpy.pb import membership_pb2
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.caller import Caller
from etcdpy.state.members import Roster
from etcdpy.state.members.versions import MinorVersion, parse_version

INT64_MAX: Final = (1 << 63) - 1
# As go-semver reads it: numbers may have leading zeros and fit an int64, and what follows - or + may be empty.
_NUMBER: Final = r"0*(\d{1,19})"
_SEMVER: Final = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-[0-9A-Za-z.-]*)?(?:\+[0-9A-Za-z.-]*)?", re.ASCII)


class Proposer(Protocol):
    """The service. Both raise EtcdError."""

    async def wait_linearizable(self) -> object: ...

    def call(self, kind: int, request: Any, caller: Caller | None = None) -> Awaitable[object]: ...


class Downgrades:
    """What may be asked about downgrades. Each verb returns the cluster's version, and raises EtcdError."""

    def __init__(self, proposer: Proposer, roster: Roster, log: logging.Logger) -> None:
        self._proposer = proposer
        self._roster = roster
        self._log = log

    async def validate(self, version: str) -> str:
        await self._check(version)
        return self._roster.version

    async def enable(self, version: str, caller: Caller | None = None) -> str:
        try:
            target = await self._check(version)
            await self._set(membership_pb2.DowngradeInfoSetRequest(enabled=True, ver=target.full.encode()), caller)
        except EtcdError as error:
            log_warn(self._log, "reject downgrade request", error=error.text)
            raise
        return self._roster.version

    async def cancel(self, caller: Caller | None = None) -> str:
        await self._proposer.wait_linearizable()
        if not self._roster.downgrade_target:
            raise NoInflightDowngrade
        await self._set(membership_pb2.DowngradeInfoSetRequest(enabled=False), caller)
        return self._roster.version

    async def _check(self, version: str) -> MinorVersion:
        target = parse_target(version)
        await self._proposer.wait_linearizable()
        if not self._roster.version:
            raise ClusterVersionUnavailable
        current = parse_version(self._roster.version)
        if target != (current.major, current.minor - 1):
            raise InvalidDowngradeTargetVersion
        if self._roster.downgrade_target:
            raise DowngradeInProcess
        return target

    async def _set(self, request: membership_pb2.DowngradeInfoSetRequest, caller: Caller | None) -> None:
        await self._proposer.call(kinds.DOWNGRADE_INFO_SET, request, caller)


def parse_target(text: str) -> MinorVersion:
    """Return major and minor of `3.4` or `3.4.1`. Raise WrongDowngradeVersionFormat."""
    match = _SEMVER.fullmatch(text) or _SEMVER.fullmatch(f"{text}.0")
    if match is None or max(map(int, match.groups())) > INT64_MAX:
        raise WrongDowngradeVersionFormat
    return MinorVersion(int(match[1]), int(match[2]))
