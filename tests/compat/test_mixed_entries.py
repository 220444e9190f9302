"""What only Go members put into the log: ours applies it as they do, lives on after a restart, and hands it on."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from etcdpy.pb import rpc_pb2 as pb
from etcdpy.transport.grpc.blocking import BlockingChannel
from tests.compat.both import Client
from tests.compat.mixed import (
    OURS,
    PATIENCE_SECONDS,
    PAUSE_SECONDS,
    REAL,
    binary_of,
    move_leader,
    remove_member,
    start_mixed_cluster,
    wait_agreed,
)
from tests.compat.test_log_of_a_real_etcd import NESTED_MAX, REQUESTS, STRANGE, nested_put
from tests.reference_cluster import ClusterMember, RunningCluster

CALL_SECONDS = 20.0
# Without the check a change of membership need not wait for five seconds of quiet connections.
FLAGS = ("--strict-reconfig-check=false",)
DEPTHS = (1, 2, 49, 50, 51, 98, 99, 100, 101, NESTED_MAX - 1, NESTED_MAX)


def whole_hash(member: ClusterMember) -> int:
    """CRC of all buckets: users, roles, members, leases, alarms."""
    with BlockingChannel(member.endpoint) as channel:
        answer = channel.unary(b"/etcdserverpb.Maintenance/Hash", b"", timeout=CALL_SECONDS)
    return int(pb.HashResponse.FromString(answer).hash)


def wait_same(cluster: RunningCluster) -> None:
    """Wait until all stores are the same in every bucket; what a member publishes of itself may be late."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        wait_agreed(cluster.members)
        hashes = {member.name: whole_hash(member) for member in cluster.members}
        if len(set(hashes.values())) == 1:
            return
        assert time.monotonic() < deadline, f"stores differ: {hashes}"
        time.sleep(PAUSE_SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("leads", [REAL, OURS])
def test_entries_that_only_go_writes(tmp_path: Path, leads: str) -> None:
    """All are sent to a real member: it writes them itself, or forwards what it made of them to a leader of ours."""
    rng = random.Random(4)
    with start_mixed_cluster(tmp_path, (REAL, OURS, REAL), flags=FLAGS) as cluster:
        real, ours, _ = cluster.members
        move_leader(cluster, ours if leads == OURS else real)
        wait_same(cluster)
        with Client(real.endpoint) as client:
            for depth in DEPTHS:
                assert client.status("KV/Txn", nested_put(depth)) == (0, ""), depth
            for method, request in REQUESTS:
                client.status(method, request.SerializeToString())
            for _ in range(30):
                method, request = rng.choice(REQUESTS)
                client.status(method, request.SerializeToString())
            found = client.call("Auth/UserGet", pb.AuthUserGetRequest(name=STRANGE), pb.AuthUserGetResponse)
        assert list(found.roles) == [b"root"]
        wait_same(cluster)

        ours.restart(wait=False)  # replays its log
        ours.wait_until_healthy()
        wait_same(cluster)

        # A new member of each kind gets it all from the leader, whichever that is.
        for kind in (OURS, REAL):
            cluster.wait_until_healthy()
            member = cluster.add_member(binary=binary_of(kind), flags=FLAGS)
            wait_same(cluster)
            remove_member(cluster, member)
