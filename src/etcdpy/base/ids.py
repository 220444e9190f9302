"""Names of numbers that must not mix, and how etcd computes the ids among them (facts 6.7, 7.5)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, NewType

MemberId = NewType("MemberId", int)
ClusterId = NewType("ClusterId", int)
Term = NewType("Term", int)
Index = NewType("Index", int)
Revision = NewType("Revision", int)
LeaseId = NewType("LeaseId", int)
RequestId = NewType("RequestId", int)

NO_MEMBER: Final = MemberId(0)


def _first_eight_bytes(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big")


def compute_member_id(peer_urls: Iterable[str], cluster_token: str, unix_seconds: int | None = None) -> MemberId:
    """Return the id of a member: SHA-1 over its sorted peer URLs, the token and, when added at run time, the time.

    Upstream: membership.computeMemberId.
    """
    text = "".join(sorted(peer_urls)) + cluster_token
    if unix_seconds is not None:
        text += str(unix_seconds)
    return MemberId(_first_eight_bytes(hashlib.sha1(text.encode()).digest()))


def compute_cluster_id(member_ids: Iterable[int]) -> ClusterId:
    """Return the id of a cluster that starts with these members. Upstream: RaftCluster.genID."""
    data = b"".join(member_id.to_bytes(8, "big") for member_id in sorted(member_ids))
    return ClusterId(_first_eight_bytes(hashlib.sha1(data).digest()))


class RequestIdGenerator:
    """Ids that no other request of the cluster bears, without asking anyone.

        | 16 bits: low bits of the member id | 40 bits: unix ms at start | 8 bits: counter |

    The low 48 bits only grow, so a restarted member repeats an id only if it issued more than 256 a ms all along.
    Upstream: pkg/idutil.
    """

    __slots__ = ("_prefix", "_suffix")

    def __init__(self, member_id: int, wall_ms: int) -> None:
        self._prefix = (member_id & 0xFFFF) << 48
        self._suffix = (wall_ms & 0xFF_FFFF_FFFF) << 8

    def next_id(self) -> int:
        self._suffix = (self._suffix + 1) & 0xFFFF_FFFF_FFFF
        return self._prefix | self._suffix


def format_id(value: int) -> str:
    """Return an id as etcd prints it: lower hex without padding."""
    return f"{value:x}"
