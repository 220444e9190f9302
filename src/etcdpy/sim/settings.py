"""What one seed decides before anything happens: how large the cluster is, and how bad its world.

Each run has only some kinds of trouble, at its own rates: everything at once hides what needs one thing to be quiet
(swarm testing, as FoundationDB's and TigerBeetle's simulators do).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Final

TICK_SECONDS: Final = 0.1
ELECTION_TICKS: Final = 10
# Of all runs, so many have but one member.
ALONE_SHARE: Final = 0.07

CRASH: Final = "crash"
TORN_WRITE: Final = "torn write"
PARTITION: Final = "partition"
PAUSE: Final = "pause"
SLOW_DISK: Final = "slow disk"
TRANSFER: Final = "transfer"
MEMBERS: Final = "members"
STORM: Final = "storm"
CAMPAIGN: Final = "campaign"
TROUBLES: Final = (CRASH, TORN_WRITE, PARTITION, PAUSE, SLOW_DISK, TRANSFER, MEMBERS, STORM, CAMPAIGN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    members: int
    troubles: tuple[str, ...]
    trouble_seconds: float  # between two of them, on average
    chaos_seconds: float
    clients: int
    watchers: int
    keys: int
    think_seconds: float
    loss: float
    duplication: float
    reordering: float  # share of messages that are held up for long
    delay_seconds: float
    sync_seconds: float
    is_disk_busy: bool  # every write goes through the disk thread
    commit_interval_seconds: float
    commit_seconds: float
    snapshot_count: int
    catchup_entries: int
    entries_per_message_bytes: int
    inflight_messages: int
    pre_vote: bool
    check_quorum: bool  # etcd always has it; without, leaders come and go, and rare states of raft do not stay rare
    read_share: float
    compaction_share: float
    clock_skew: float


def choose_settings(rng: random.Random) -> Settings:
    """Draw one world."""
    troubles = tuple([trouble for trouble in TROUBLES if rng.random() < 0.5])
    is_lossy = rng.random() < 0.5
    settings = Settings(
        members=rng.choice((3, 3, 5)),
        troubles=troubles,
        trouble_seconds=rng.choice((0.5, 1.0, 2.0)),
        chaos_seconds=rng.choice((8.0, 12.0, 16.0)),
        clients=rng.randrange(3, 9),
        watchers=rng.randrange(1, 4),
        keys=rng.randrange(2, 7),
        think_seconds=rng.choice((0.03, 0.1, 0.2)),
        loss=rng.choice((0.01, 0.05, 0.15)) if is_lossy else 0.0,
        duplication=rng.choice((0.0, 0.05)) if is_lossy else 0.0,
        reordering=rng.choice((0.0, 0.02, 0.1)),
        delay_seconds=rng.choice((0.0005, 0.005, 0.03)),
        sync_seconds=rng.choice((0.0005, 0.005, 0.03)),
        is_disk_busy=rng.random() < 0.5,
        commit_interval_seconds=rng.choice((0.1, 0.5, 2.0)),
        commit_seconds=rng.choice((0.0, 0.05, 0.3)),
        snapshot_count=rng.choice((8, 25, 10_000)),
        catchup_entries=rng.choice((1, 5, 20)),
        entries_per_message_bytes=rng.choice((1, 200, 1 << 20)),
        inflight_messages=rng.choice((2, 8, 512)),
        pre_vote=rng.random() < 0.6,
        check_quorum=rng.random() < 0.7,
        read_share=rng.choice((0.2, 0.4, 0.8)),
        compaction_share=rng.choice((0.0, 0.02, 0.05)),
        clock_skew=rng.choice((0.0, 0.1, 0.3)),
    )
    # A member alone has a road of its own from the disk to the client.
    return replace(settings, members=1) if rng.random() < ALONE_SHARE else settings
