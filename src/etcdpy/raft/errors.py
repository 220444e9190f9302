"""What raft refuses, as exceptions. The texts are upstream's: they appear in traces and in logs.

Three groups, never mixed:
  * a proposal or message that this node will not take (`RaftError`): the caller retries, reports or drops it;
  * a log position that is not there (`LogError`): the caller inside raft takes another road, a snapshot for example;
  * a configuration change that the present configuration forbids (`ConfChangeError`).
What must never happen is `etcdpy.base.invariant.InvariantError`.
"""

from __future__ import annotations


class RaftError(Exception):
    """A step that was refused; nothing has changed."""

    text = "raft: refused"

    def __init__(self) -> None:
        super().__init__(self.text)


class ProposalDropped(RaftError):
    """There is no leader, or it cannot take proposals now. The proposer may try again."""

    text = "raft proposal dropped"


class StepLocalMessage(RaftError):
    """A kind of message that only this process may send came from somewhere else."""

    text = "raft: cannot step raft local message"


class StepPeerNotFound(RaftError):
    """An answer came from somebody who is not in the configuration (any more)."""

    text = "raft: cannot step as peer not found"


class LogError(Exception):
    """A log position that cannot be read."""


class LogCompacted(LogError):
    """The position lies before the first entry that is kept."""

    def __init__(self) -> None:
        super().__init__("requested index is unavailable due to compaction")


class LogUnavailable(LogError):
    """The position lies behind the last entry."""

    def __init__(self) -> None:
        super().__init__("requested entry at index is unavailable")


class SnapshotOutOfDate(LogError):
    """A newer snapshot is already there."""

    def __init__(self) -> None:
        super().__init__("requested index is older than the existing snapshot")


class SnapshotTemporarilyUnavailable(LogError):
    """The storage is still preparing a snapshot; raft asks again later."""

    def __init__(self) -> None:
        super().__init__("snapshot is temporarily unavailable")


class ConfChangeError(Exception):
    """The change does not fit the configuration that it was applied to."""
