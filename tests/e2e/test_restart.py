"""Many lives of one member, a snapshot every 50 entries, beside the real etcd 3.5.1: state, files, what is purged."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Client, Starter, run_restarting
from tests.compat.directories import State, look, write
from tests.reference import RunningEtcd

pytestmark = pytest.mark.slow

LIVES: Final = 7
MAX_SNAPSHOTS: Final = 3
MIB: Final = 1 << 20
# A little more than fills one segment of 64 MB.
TXNS_PER_SEGMENT: Final = 62


def names(server: RunningEtcd, pattern: str) -> list[str]:
    return sorted(path.name for path in server.data_dir.rglob(pattern))


class Life:
    """What was to be seen between one start and the stop after it."""

    def __init__(self, found: State, left: State, snapshots: list[str]) -> None:
        self.found = found
        self.left = left
        self.snapshots = snapshots


def live(start: Starter, number: int) -> Life:
    flags = ["--snapshot-count=50", f"--max-snapshots={MAX_SNAPSHOTS}"]
    with start(*flags) as server:
        found = look(server)
        write(server, seed=number, count=100)
        left = look(server)
    return Life(found, left, names(server, "*.snap"))


def test_each_life_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    both = run_restarting(tmp_path, lambda start: [live(start, number) for number in range(LIVES)])

    for lives in (both.ours, both.theirs):
        for before, after in zip(lives, lives[1:], strict=False):
            assert after.found == before.left
    for number, (ours, theirs) in enumerate(zip(both.ours, both.theirs, strict=True)):
        assert ours.left == theirs.left, f"life {number}"
        assert ours.snapshots == theirs.snapshots, f"life {number}"
    # The newest are kept at each start; one life adds two or three.
    assert 1 < len(both.ours[-1].snapshots) <= MAX_SNAPSHOTS + 3
    assert both.ours[-1].snapshots[0] > both.ours[1].snapshots[-1]


def fill_segments(server: RunningEtcd, count: int) -> None:
    """Write the log full with what never gets into the store: transactions whose puts are not taken."""
    with Client(server.endpoint) as client:
        txn = pb.TxnRequest()
        txn.failure.add().request_put.CopyFrom(pb.PutRequest(key=b"never", value=b"x" * MIB))
        for _ in range(count * TXNS_PER_SEGMENT):
            client.call("KV/Txn", txn, pb.TxnResponse)


def logs(start: Starter) -> list[list[str]]:
    """Fill three segments, snapshot after them, start again twice: what is left of the log each time."""
    flags = ["--snapshot-count=50", "--max-wals=1"]
    seen: list[list[str]] = []
    with start(*flags) as server:
        fill_segments(server, 3)
        write(server, seed=1, count=100)
        seen.append(names(server, "*.wal"))
    for seed in (2, 3):
        with start(*flags) as server:
            write(server, seed=seed, count=30)
            look(server)
        seen.append(names(server, "*.wal"))
    return seen


def test_segments_that_nobody_needs_are_removed(tmp_path: Path) -> None:
    both = run_restarting(tmp_path, logs)

    assert both.ours == both.theirs
    assert [len(left) for left in both.ours] == [4, 1, 1]
