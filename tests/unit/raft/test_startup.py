"""A node's beginning."""

from __future__ import annotations

import random

from etcdpy.pb.raft_values import ConfState, Entry, HardState, Snapshot
from etcdpy.raft.config import Config
from etcdpy.raft.constants import FOLLOWER
from etcdpy.raft.startup import start
from etcdpy.raft.storage import MemoryStorage


class Lines:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, text: str, /) -> None:
        self.lines.append(text)

    info = warning = error = debug


def test_it_goes_on_where_its_storage_ends() -> None:
    storage = MemoryStorage()
    storage.apply_snapshot(Snapshot(b"", 5, 2, ConfState([0x1A, 0x2B], [0x3C])))
    storage.append([Entry(2, 6), Entry(3, 7)])
    storage.set_hard_state(HardState(4, 0x2B, 6))
    lines = Lines()

    raft = start(Config(0x1A, 10, 1, storage, random.Random(1), logger=lines))

    raft.check_invariants()
    assert (raft.role, raft.term, raft.vote) == (FOLLOWER, 4, 0x2B)
    assert (raft.log.committed, raft.log.applied, raft.log.last_index) == (6, 5, 7)
    assert lines.lines == [
        "1a switched to configuration voters=(26 43) learners=(60)",
        "1a became follower at term 4",
        "newRaft 1a [peers: [1a,2b], term: 4, commit: 6, applied: 5, lastindex: 7, lastterm: 3]",
    ]


def test_a_snapshot_shows_more_committed_than_the_hard_state() -> None:
    storage = MemoryStorage()
    storage.apply_snapshot(Snapshot(b"", 5, 2, ConfState([1])))
    storage.set_hard_state(HardState(2, 1, 3))

    raft = start(Config(1, 10, 1, storage, random.Random(1)))

    assert (raft.log.committed, raft.log.applied) == (5, 5)
