"""What the log says of membership changes, in etcd's words. Upstream: membership.RaftCluster."""

from __future__ import annotations

import logging

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_error, log_info
from etcdpy.base.version import VERSION
from etcdpy.state.members import MembershipChange
from etcdpy.state.members.change import ADDED, PROMOTED, REMOVED, UPDATED
from etcdpy.state.members.versions import parse_version


def log_change(
    log: logging.Logger, result: MembershipChange, *, cluster_id: int, member_id: int, is_new: bool = True
) -> None:
    """Log what became of a change; `is_new`: its effects were not in the backend yet."""
    if result.error is not None:
        log_error(log, "Validation on configuration change failed", shouldApplyV3=is_new, error=result.error.text)
        return
    member = result.member
    assert member is not None
    ids = {"cluster_id": format_id(cluster_id), "local_member_id": format_id(member_id)}
    about, urls = format_id(result.member_id), list(member.peer_urls)
    if result.kind == ADDED:
        log_info(
            log,
            "added member",
            **ids,
            added_peer_id=about,
            added_peer_peer_urls=urls,
            added_peer_is_learner=member.is_learner,
        )
    elif result.kind == PROMOTED:
        log_info(log, "promote member", **ids, promoted_member_id=about)
    elif result.kind == REMOVED:
        log_info(
            log,
            "removed member",
            **ids,
            removed_remote_peer_id=about,
            removed_remote_peer_urls=urls,
            removed_remote_peer_is_learner=member.is_learner,
        )
    elif result.kind == UPDATED:
        log_info(log, "updated member", **ids, updated_remote_peer_id=about, updated_remote_peer_urls=urls)


def log_version(log: logging.Logger, previous: str, version: str, *, cluster_id: int, member_id: int) -> None:
    """Log that the cluster agreed on a version."""
    ids = {"cluster_id": format_id(cluster_id), "local_member_id": format_id(member_id)}
    now = str(parse_version(version))
    if previous:
        log_info(log, "updated cluster version", **ids, **{"from": str(parse_version(previous)), "to": now})
    else:
        log_info(log, "set initial cluster version", **ids, cluster_version=now)


def log_downgrade(log: logging.Logger, target_version: str) -> None:
    """Log that the cluster may go back to `target_version`."""
    log_info(log, "The server is ready to downgrade", target_version=target_version, server_version=VERSION)
