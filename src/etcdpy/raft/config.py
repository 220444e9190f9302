"""What a raft node is given at start. Values only: the random numbers and the log come from outside.

The defaults are etcd's own settings (facts 7.5) where etcd sets any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from etcdpy.base.clock import Random
from etcdpy.raft.constants import LOCAL_THREADS, NO_MEMBER
from etcdpy.raft.sizes import NO_LIMIT
from etcdpy.raft.storage import Storage

# Reads confirmed by a round of heartbeats, or by the leader's lease (trusting the clocks).
SAFE: Final = 0
LEASE_BASED: Final = 1


class Logger(Protocol):
    """Where raft's lines go; logging.Logger fits. Nothing on the path of a write is logged."""

    def debug(self, text: str, /) -> None: ...

    def info(self, text: str, /) -> None: ...

    def warning(self, text: str, /) -> None: ...

    def error(self, text: str, /) -> None: ...


class SilentLogger:
    """Drops every line."""

    def debug(self, text: str, /) -> None:
        return None

    def info(self, text: str, /) -> None:
        return None

    def warning(self, text: str, /) -> None:
        return None

    def error(self, text: str, /) -> None:
        return None


SILENT: Final = SilentLogger()


@dataclass(frozen=True, slots=True)
class Config:
    """One node's settings. Ticks are the server's: election_tick of them without a leader start an election."""

    id: int
    election_tick: int
    heartbeat_tick: int
    storage: Storage
    rng: Random
    logger: Logger = SILENT
    # The last entry that the state machine already holds: raft will not hand it out again.
    applied: int = 0
    # True: appends and applies leave as messages to LOCAL_APPEND_THREAD and LOCAL_APPLY_THREAD, and their responses are
    # stepped when done. False: the caller finishes each Ready and calls advance().
    async_storage_writes: bool = True
    # True: a commit index that moved is written even if nothing else is. False: it waits for the next write; after a
    # crash it is learnt again (paper, figure 2: it is volatile), and every entry costs a message less.
    write_bare_commits: bool = True
    # True: every append is answered. False: not one that only moves our commit index behind entries that were
    # acknowledged, which tells the leader nothing (see `following`).
    answer_bare_commits: bool = True
    # Most bytes of entries in one MsgApp, and in one Ready's committed entries (None: the same).
    max_size_per_message: int = 1 << 20
    max_committed_size_per_ready: int | None = None
    # Bytes of proposals a leader holds uncommitted before it refuses more. etcd sets no limit.
    max_uncommitted_size: int = NO_LIMIT
    # Appends and bytes on the way to one follower before the leader waits for answers (0: no limit of bytes).
    max_inflight_messages: int = 512
    max_inflight_bytes: int = 0
    # A leader that has not heard from a quorum for an election timeout steps down.
    check_quorum: bool = True
    pre_vote: bool = True
    read_only: int = SAFE
    disable_proposal_forwarding: bool = False
    # Let conf changes into the log although the present configuration seems to forbid them.
    disable_conf_change_validation: bool = False
    # A leader that leaves the configuration becomes a follower at once.
    step_down_on_removal: bool = False

    def __post_init__(self) -> None:
        if self.id == NO_MEMBER or self.id in LOCAL_THREADS:
            raise ValueError(f"raft: {self.id} cannot be a member's id")
        if self.heartbeat_tick <= 0:
            raise ValueError(f"raft: heartbeat tick must be positive, not {self.heartbeat_tick}")
        if self.election_tick <= self.heartbeat_tick:
            raise ValueError(
                f"raft: election tick {self.election_tick} must be greater than heartbeat tick {self.heartbeat_tick}"
            )
        if self.max_inflight_messages <= 0:
            raise ValueError("raft: max inflight messages must be positive")
        if self.max_inflight_bytes and self.max_inflight_bytes < self.max_size_per_message:
            raise ValueError("raft: max inflight bytes must not be below max message size")
        if self.read_only == LEASE_BASED and not self.check_quorum:
            raise ValueError("raft: lease based reads need check quorum")

    @property
    def committed_size_max(self) -> int:
        """Bytes of committed entries that may wait for being applied."""
        if self.max_committed_size_per_ready is None:
            return self.max_size_per_message
        return self.max_committed_size_per_ready
