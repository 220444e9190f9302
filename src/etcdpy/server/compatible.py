"""Whether this version may join a cluster: no member says a cluster version outside the range, and one says one within.

    usually                      3.0 .. our own
    while a downgrade is on      the one after our own: the cluster is still that, and will come down to us

Members that do not answer do not count: one of them may be down just now.

Upstream: server/etcdserver/cluster_util.go (isCompatibleWithCluster).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from typing import Final, Protocol

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_warn
from etcdpy.base.version import CLUSTER_VERSION
from etcdpy.state.members import Member
from etcdpy.transport.peer_http import HttpAnswer, fetch

VERSION_PATH: Final = "/version"
DOWNGRADE_PATH: Final = "/downgrade/enabled"
# Upstream's version.MinClusterVersion.
CLUSTER_VERSION_MIN: Final = (3, 0, 0)
# Upstream bounds only the connecting; a member that takes longer than this is as good as down.
ASK_SECONDS_MAX: Final = 10.0
_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:[-+].*)?", re.ASCII)
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})

Version = tuple[int, int, int]


class Ask(Protocol):
    """One GET request to another member: `transport.peer_http.fetch`, with TLS where it is wanted. Raises OSError."""

    async def __call__(self, url: str, *, timeout_seconds: float | None) -> HttpAnswer: ...


async def is_compatible(members: Sequence[Member], member_id: int, log: logging.Logger, ask: Ask = fetch) -> bool:
    """Return whether `member_id`, of our version, may join the others."""
    others = [member for member in members if member.id != member_id]
    texts = [(member, await _ask_cluster_version(member, log, ask)) for member in others]
    lowest, highest = allowed_range(is_downgrading=await _ask_downgrade(others, log, ask))
    found = False
    for member, text in texts:
        if text is None:
            continue
        version = parse_version(text)
        if version is None:
            log_warn(log, "failed to parse cluster version of remote member", **_said(member, text))
            continue
        if version < lowest:
            minimum = {"minimum_cluster_version_supported": _text(lowest)}
            log_warn(
                log, "cluster version of remote member is not compatible; too low", **_said(member, text), **minimum
            )
            return False
        if version > highest:
            maximum = {"maximum_cluster_version_supported": _text(highest)}
            log_warn(
                log, "cluster version of remote member is not compatible; too high", **_said(member, text), **maximum
            )
            return False
        found = True
    return found


def allowed_range(*, is_downgrading: bool) -> tuple[Version, Version]:
    """Return the lowest and the highest cluster version that we can be a member of."""
    own = parse_version(CLUSTER_VERSION)
    assert own is not None
    if is_downgrading:
        next_one = (own[0], own[1] + 1, 0)
        return next_one, next_one
    return CLUSTER_VERSION_MIN, own


def parse_version(text: str) -> Version | None:
    """Return the numbers of `major.minor.patch`, or None."""
    match = _VERSION.fullmatch(text)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))


def _said(member: Member, text: str) -> dict[str, str]:
    return {"remote_member_id": format_id(member.id), "remote_member_cluster_version": text}


def _text(version: Version) -> str:
    return ".".join(map(str, version))


async def _ask_cluster_version(member: Member, log: logging.Logger, ask: Ask) -> str | None:
    """Return the cluster version that `member` tells; None when it does not answer."""
    for url in member.peer_urls:
        body = await _ask(member, url + VERSION_PATH, log, ask)
        if body is None:
            continue
        try:
            record = json.loads(body)
            return str(record.get("etcdcluster", ""))
        except (ValueError, AttributeError) as error:
            _warn(log, "failed to unmarshal response", member, url + VERSION_PATH, error)
    log_warn(log, "failed to get version", remote_member_id=format_id(member.id))
    return None


async def _ask_downgrade(members: Sequence[Member], log: logging.Logger, ask: Ask) -> bool:
    """Return whether the cluster is being downgraded. The first who answers knows: its answer is linearized."""
    for member in members:
        for url in member.peer_urls:
            body = await _ask(member, url + DOWNGRADE_PATH, log, ask)
            text = None if body is None else body.decode("latin-1")
            if text in _TRUE or text in _FALSE:
                return text in _TRUE
            if text is not None:
                error = ValueError(f"strconv.ParseBool: parsing {json.dumps(text)}: invalid syntax")
                _warn(log, "failed to convert response", member, url + DOWNGRADE_PATH, error)
        log_warn(log, "failed to get downgrade enabled status", remote_member_id=format_id(member.id))
    return False


async def _ask(member: Member, address: str, log: logging.Logger, ask: Ask) -> bytes | None:
    try:
        return (await ask(address, timeout_seconds=ASK_SECONDS_MAX)).body
    except OSError as error:
        _warn(log, "failed to reach the peer URL", member, address, error)
        return None


def _warn(log: logging.Logger, text: str, member: Member, address: str, error: Exception) -> None:
    reason = str(error) or type(error).__name__
    log_warn(log, text, address=address, remote_member_id=format_id(member.id), error=reason)
