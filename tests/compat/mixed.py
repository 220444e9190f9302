"""Clusters of real members and of ours together, and what all members of one cluster must agree on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etcdpy.base.errors import EtcdError
from etcdpy.client.aio import AsyncClient
from etcdpy.client.client import Client
from tests.ours import ours_binary
from tests.reference_cluster import ClusterMember, RunningCluster, start_reference_cluster

# A loaded machine with two cores: what does not come about in this time never will.
PATIENCE_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.05
CALL_SECONDS: Final = 20.0
REAL: Final = "real"
OURS: Final = "ours"


def binary_of(kind: str) -> Path | None:
    """Return the program of a kind of member, as `start_reference_cluster` takes it."""
    return ours_binary("etcd") if kind == OURS else None


def start_mixed_cluster(folder: Path, kinds: Sequence[str], *, flags: Sequence[str] = ()) -> RunningCluster:
    """Start a new cluster of these kinds of members."""
    return start_reference_cluster(folder, len(kinds), binaries=[binary_of(kind) for kind in kinds], flags=flags)


def move_leader(cluster: RunningCluster, target: ClusterMember) -> None:
    """Have `target` lead, and return when it says so."""
    target_id = cluster.member_ids()[target.name]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _find_leader(cluster) is not target:
        assert time.monotonic() < deadline, f"{target.name} does not come to lead"
        try:
            cluster.ctl("move-leader", f"{target_id:x}")
        except RuntimeError:
            time.sleep(PAUSE_SECONDS)  # nobody leads, or the target is behind


def _find_leader(cluster: RunningCluster) -> ClusterMember | None:
    try:
        return cluster.leader()
    except (LookupError, RuntimeError):
        return None


@dataclass(frozen=True)
class View:
    """What one member says of the state that all members share."""

    revision: int
    compact_revision: int
    hash: int
    members: tuple[tuple[int, str, tuple[str, ...], tuple[str, ...], bool], ...]
    alarms: tuple[tuple[int, int], ...]
    leases: tuple[int, ...]


def look(member: ClusterMember) -> View:
    """Ask one member, once it has applied what was committed before."""
    with Client([member.endpoint]) as client:
        client.kv.get(b"k", timeout=CALL_SECONDS)  # linearizable: it has applied what the others have
        answer = client.maintenance.hash_kv(0, timeout=CALL_SECONDS)
        roster = client.cluster.member_list(linearizable=False, timeout=CALL_SECONDS).members
        alarms = client.maintenance.alarms(timeout=CALL_SECONDS).alarms
        leases = client.lease.leases(timeout=CALL_SECONDS).leases
    return View(
        answer.header.revision,
        answer.compact_revision,
        answer.hash,
        tuple(sorted((m.ID, m.name, tuple(m.peerURLs), tuple(m.clientURLs), m.isLearner) for m in roster)),
        tuple(sorted((alarm.memberID, alarm.alarm) for alarm in alarms)),
        tuple(sorted(lease.ID for lease in leases)),
    )


def wait_agreed(members: Sequence[ClusterMember]) -> View:
    """Wait until all members say the same, which only those may be late to that still apply; return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        views = [look(member) for member in members]
        if all(view == views[0] for view in views):
            return views[0]
        hashes = {(view.revision, view.compact_revision): view.hash for view in views}
        for view in views:
            same = hashes[view.revision, view.compact_revision] == view.hash
            assert same, "stores differ:\n" + _tell(members, views)
        assert time.monotonic() < deadline, "members do not come to agree:\n" + _tell(members, views)
        time.sleep(PAUSE_SECONDS)


def _tell(members: Sequence[ClusterMember], views: Sequence[View]) -> str:
    return "\n".join(f"{member.name}: {view}" for member, view in zip(members, views, strict=True))


def promote(cluster: RunningCluster, member: ClusterMember) -> None:
    """Promote a learner as soon as it has caught up and told its name."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _is_promoted(cluster, member):
        assert time.monotonic() < deadline, f"{member.name} cannot be promoted"
        time.sleep(PAUSE_SECONDS)


def _is_promoted(cluster: RunningCluster, member: ClusterMember) -> bool:
    with Client([cluster.members[0].endpoint]) as client:
        roster = client.cluster.member_list(timeout=CALL_SECONDS).members
        found = next((known for known in roster if known.name == member.name), None)
        if found is not None:
            try:
                client.cluster.member_promote(found.ID, timeout=CALL_SECONDS)
            except EtcdError as error:
                assert any(word in error.text for word in ("learner", "unhealthy", "leader", "timed out")), error
            else:
                return True
    return False


def remove_member(cluster: RunningCluster, member: ClusterMember) -> None:
    """Have the others remove a member, and end it."""
    member_id = cluster.member_ids()[member.name]
    cluster.members.remove(member)
    cluster.ctl_when_settled("member", "remove", f"{member_id:x}")
    member.stop()


def put_many(endpoints: Sequence[str], count: int, *, tasks: int = 100, value: bytes = b"x" * 20) -> None:
    """Put `count` times, from many tasks: each put is one entry of the log."""

    async def put_from(clients: list[AsyncClient], at: int) -> None:
        for number in range(at, count, tasks):
            await clients[at % len(clients)].kv.put(b"many/%d" % (number % 97), value, timeout=PATIENCE_SECONDS)

    async def run() -> None:
        clients = [AsyncClient([endpoint]) for endpoint in endpoints]
        try:
            async with asyncio.TaskGroup() as group:
                for at in range(tasks):
                    group.create_task(put_from(clients, at))
        finally:
            for client in clients:
                await client.close()

    asyncio.run(run())


def wait_read(member: ClusterMember, key: bytes, value: bytes) -> None:
    """Wait until a member answers a linearizable read, with this value."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert time.monotonic() < deadline, f"{member.name} does not serve {key!r}"
        try:
            with Client([member.endpoint], dial_timeout=1.0) as client:
                kvs = client.kv.get(key, timeout=CALL_SECONDS).kvs
        except EtcdError:
            time.sleep(PAUSE_SECONDS)
            continue
        assert [kv.value for kv in kvs] == [value], member.name
        return
