"""Rows of the simple and table formats, which show the same cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etcdpy.cli.etcdctl.go_text import format_duration, human_bytes
from etcdpy.cli.etcdctl.printer.base import EndpointHash, EndpointHealth, EndpointStatus, SnapshotStatus

if TYPE_CHECKING:
    from etcdpy.pb import rpc_pb2 as rpc

MEMBER_HEADER: Final = ("ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner")
HEALTH_HEADER: Final = ("endpoint", "health", "took", "error")
STATUS_HEADER: Final = (
    "endpoint",
    "ID",
    "version",
    "db size",
    "is leader",
    "is learner",
    "raft term",
    "raft index",
    "raft applied index",
    "errors",
)
HASH_HEADER: Final = ("endpoint", "hash")
SNAPSHOT_HEADER: Final = ("hash", "revision", "total keys", "total size")


def go_bool(value: bool) -> str:
    return "true" if value else "false"


def member_row(member: rpc.Member) -> list[str]:
    return [
        f"{member.ID:x}",
        "started" if member.name else "unstarted",
        member.name,
        ",".join(member.peerURLs),
        ",".join(member.clientURLs),
        go_bool(member.isLearner),
    ]


def health_row(found: EndpointHealth) -> list[str]:
    return [found.endpoint, go_bool(found.healthy), format_duration(found.took), found.error]


def status_row(found: EndpointStatus) -> list[str]:
    status = found.status
    return [
        found.endpoint,
        f"{status.header.member_id:x}",
        status.version,
        human_bytes(status.dbSize),
        go_bool(status.leader == status.header.member_id),
        go_bool(status.isLearner),
        str(status.raftTerm),
        str(status.raftIndex),
        str(status.raftAppliedIndex),
        ", ".join(status.errors),
    ]


def hash_row(found: EndpointHash) -> list[str]:
    return [found.endpoint, str(found.hash.hash)]


def snapshot_row(status: SnapshotStatus) -> list[str]:
    return [f"{status.hash:x}", str(status.revision), str(status.total_keys), human_bytes(status.total_bytes)]
