"""What a client is told when there is no majority, beside a cluster of real members: same codes, same texts.

What waited for a leader in vain 3.5.1 answers with code Unknown; 3.5.33, with a younger gRPC, with DeadlineExceeded and
the same text, and so do we.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.base.errors import DEADLINE_EXCEEDED, UNAVAILABLE, UNKNOWN
from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Client
from tests.ours import ours_binary
from tests.reference_cluster import ClusterMember, RunningCluster, start_reference_cluster

pytestmark = pytest.mark.slow

PUT: Final = ("KV/Put", pb.PutRequest(key=b"a", value=b"v").SerializeToString())
GET: Final = ("KV/Range", pb.RangeRequest(key=b"a").SerializeToString())
SERIALIZABLE: Final = ("KV/Range", pb.RangeRequest(key=b"a", serializable=True).SerializeToString())
GRANT: Final = ("Lease/LeaseGrant", pb.LeaseGrantRequest(TTL=5).SerializeToString())
TIMEOUT: Final = (UNAVAILABLE, "etcdserver: request timed out")
NEVER_PROPOSED: Final = (DEADLINE_EXCEEDED, "context deadline exceeded")


class Askers:
    """Calls at the same time, each from a thread of its own."""

    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}
        self._threads: list[threading.Thread] = []

    def ask(self, name: str, member: ClusterMember, call: tuple[str, bytes]) -> None:
        def run() -> None:
            with Client(member.endpoint) as client:
                self.seen[name] = client.status(*call)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def wait(self) -> dict[str, Any]:
        for thread in self._threads:
            thread.join()
        return {name: self.seen[name] for name in sorted(self.seen)}


def wait_leaderless(member: ClusterMember) -> None:
    """Return when a member says that nobody leads."""
    deadline = time.monotonic() + 30
    with Client(member.endpoint) as client:
        while client.call("Maintenance/Status", pb.StatusRequest(), pb.StatusResponse).leader:
            assert time.monotonic() < deadline, f"{member.name} still follows somebody"


def lose_the_majority(cluster: RunningCluster) -> dict[str, Any]:
    """Stop both followers; ask the leader that does not know it yet, then the member that knows."""
    leader = cluster.leader()
    for member in cluster.members:
        if member is not leader:
            assert member.running is not None
            os.kill(member.running.pid, signal.SIGSTOP)
    askers = Askers()
    try:
        for name, call in (("put", PUT), ("get", GET), ("grant", GRANT), ("serializable", SERIALIZABLE)):
            askers.ask(f"at once: {name}", leader, call)
        wait_leaderless(leader)
        for name, call in (("put", PUT), ("grant", GRANT), ("serializable", SERIALIZABLE)):
            askers.ask(f"later: {name}", leader, call)
        return askers.wait()
    finally:
        for member in cluster.members:
            if member is not leader and member.running is not None:
                os.kill(member.running.pid, signal.SIGCONT)


def as_3_5_33(seen: dict[str, Any]) -> dict[str, Any]:
    """Say in a younger gRPC's code what 3.5.1 says with Unknown."""
    return {name: NEVER_PROPOSED if status == (UNKNOWN, NEVER_PROPOSED[1]) else status for name, status in seen.items()}


def on_cluster(folder: Path, script: Callable[[RunningCluster], dict[str, Any]], *, ours: bool) -> dict[str, Any]:
    folder.mkdir()
    with start_reference_cluster(folder, 3, binaries=[ours_binary("etcd")] * 3 if ours else ()) as cluster:
        return script(cluster)


def test_without_a_majority(tmp_path: Path) -> None:
    theirs = as_3_5_33(on_cluster(tmp_path / "real", lose_the_majority, ours=False))
    ours = on_cluster(tmp_path / "ours", lose_the_majority, ours=True)

    assert ours == theirs
    assert (ours["at once: put"], ours["at once: get"], ours["later: put"]) == (TIMEOUT, TIMEOUT, NEVER_PROPOSED)


def test_what_was_never_proposed_does_not_come_later(tmp_path: Path) -> None:
    """Nor does it stay in memory until there is a leader again."""

    def script(cluster: RunningCluster) -> dict[str, Any]:
        seen = lose_the_majority(cluster)
        cluster.wait_until_healthy()
        with Client(cluster.members[0].endpoint) as client:
            grants = client.call("Lease/LeaseLeases", pb.LeaseLeasesRequest(), pb.LeaseLeasesResponse).leases
        return {**seen, "leases": len(grants)}

    seen = on_cluster(tmp_path / "ours", script, ours=True)
    # The one that was proposed in time may have come through with the majority: its outcome was unknown.
    assert seen["leases"] <= 1
