"""Who we are to other members, and how long we wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from etcdpy.base.ids import format_id
from etcdpy.base.version import MIN_CLUSTER_VERSION, VERSION

# etcd's rafthttp.ConnReadTimeout, `--raft-read-timeout`.
READ_TIMEOUT_SECONDS: Final = 5.0
WRITE_TIMEOUT_SECONDS: Final = 5.0
REDIAL_SECONDS: Final = 0.1
# One second and an election timeout of the default length (etcd's peerDialTimeout).
DIAL_TIMEOUT_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Every time that the transport waits, in seconds."""

    read_seconds: float = READ_TIMEOUT_SECONDS
    write_seconds: float = WRITE_TIMEOUT_SECONDS
    redial_seconds: float = REDIAL_SECONDS
    dial_seconds: float = DIAL_TIMEOUT_SECONDS

    @property
    def link_heartbeat_seconds(self) -> float:
        """How often a silent stream shows that it lives: three times before its reader gives it up."""
        return self._patience_seconds / 3

    @property
    def idle_seconds(self) -> float:
        """How long an idle connection is kept: shorter than the other side's patience."""
        return self._patience_seconds * 0.8

    @property
    def probe_seconds(self) -> float:
        """How often a peer is probed: often enough to keep the connection alive (etcd: read timeout - 1 s)."""
        return self._patience_seconds * 0.8

    @property
    def _patience_seconds(self) -> float:
        """The other side's: with a longer --raft-read-timeout here it may still be the usual one there."""
        return min(self.read_seconds, READ_TIMEOUT_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What we say of ourselves in the headers of each request."""

    member_id: int
    cluster_id: int
    peer_urls: Sequence[str]
    server_version: str = VERSION
    min_cluster_version: str = MIN_CLUSTER_VERSION

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers of facts 7.1, in Go's spelling."""
        return [
            ("X-Server-From", format_id(self.member_id)),
            ("X-Server-Version", self.server_version),
            ("X-Min-Cluster-Version", self.min_cluster_version),
            ("X-Etcd-Cluster-Id", format_id(self.cluster_id)),
            ("X-Peerurls", ",".join(self.peer_urls)),
        ]
