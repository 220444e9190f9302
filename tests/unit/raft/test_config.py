"""Settings that cannot work are refused."""

from __future__ import annotations

import random
from typing import Any

import pytest

from etcdpy.raft.config import LEASE_BASED, Config
from etcdpy.raft.constants import LOCAL_APPEND_THREAD
from etcdpy.raft.storage import MemoryStorage


def make(**changes: Any) -> Config:
    settings: dict[str, Any] = {"id": 1, "election_tick": 10, "heartbeat_tick": 1}
    return Config(storage=MemoryStorage(), rng=random.Random(0), **(settings | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 0},
        {"id": LOCAL_APPEND_THREAD},
        {"heartbeat_tick": 0},
        {"election_tick": 1},
        {"max_inflight_messages": 0},
        {"max_inflight_bytes": 10},
        {"read_only": LEASE_BASED, "check_quorum": False},
    ],
)
def test_refusals(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="raft: "):
        make(**changes)


def test_defaults_are_etcds() -> None:
    config = make()

    assert (config.max_size_per_message, config.max_inflight_messages) == (1 << 20, 512)
    assert (config.check_quorum, config.pre_vote, config.async_storage_writes) == (True, True, True)
    assert config.committed_size_max == config.max_size_per_message
    assert make(max_committed_size_per_ready=5).committed_size_max == 5
