"""What the operations endpoints ask of a member."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from etcdpy.server.metrics_source import HealthCounts


class RaisedAlarm(NamedTuple):
    member_id: int
    name: str  # NOSPACE, CORRUPT


class OpsSource(Protocol):
    """A running member, as seen from /health and its neighbours. All but `check_read` answer at once."""

    @property
    def health(self) -> HealthCounts:
        """Where the endpoints count what they found; the one that /metrics shows."""

    def cluster_version(self) -> str:
        """Return `3.5.0`, or `not_decided`."""

    def alarms(self) -> Sequence[RaisedAlarm]: ...

    def leader_id(self) -> int:
        """Return the leader's id; 0 when there is none."""

    def is_learner(self) -> bool: ...

    async def check_read(self, *, serializable: bool) -> None:
        """Read something as a client would. Raise EtcdError when that fails; bounded by the request timeout."""

    def metrics_text(self) -> bytes: ...

    def raft_status(self) -> Mapping[str, object]:
        """Return what /debug/vars tells of raft."""
