"""Whoever was away too long gets a snapshot, from the other kind of member; v2 keys are in it, too.

3.5.1 keeps 5,000 entries behind a snapshot whatever its flags say, so that many go by while a member is away.
"""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.client.client import Client
from tests.compat.mixed import (
    OURS,
    PATIENCE_SECONDS,
    PAUSE_SECONDS,
    REAL,
    move_leader,
    put_many,
    start_mixed_cluster,
    wait_agreed,
    wait_read,
)
from tests.reference_cluster import ClusterMember, RunningCluster

SNAPSHOT_COUNT: Final = 100
CATCH_UP_ENTRIES: Final = 5000
# What a leader's log has certainly let go of: the snapshot's own distance, twice, and those at its edge.
ENTRIES_AWAY: Final = CATCH_UP_ENTRIES + 3 * SNAPSHOT_COUNT
FLAGS: Final = (f"--snapshot-count={SNAPSHOT_COUNT}",)
CALL_SECONDS: Final = 20.0
TTL_SECONDS: Final = 2
RECEIVED: Final = '"msg":"received and saved database snapshot"'


def _catch_up(cluster: RunningCluster, leader: ClusterMember, away: ClusterMember) -> None:
    """Have `away` miss more than any log keeps, while `leader` leads."""
    away.stop()
    rest = [member for member in cluster.members if member is not away]
    move_leader_among(cluster, rest, leader)
    put_many([member.endpoint for member in rest], ENTRIES_AWAY)
    with Client([leader.endpoint]) as client:
        client.kv.put(b"after", away.name.encode())
    assert _snapshots_received(away) == 0
    away.restart(wait=False)
    wait_read(away, b"after", away.name.encode())
    assert _snapshots_received(away) == 1, f"{away.name} was not sent a snapshot"
    wait_agreed(cluster.members)


def move_leader_among(cluster: RunningCluster, members: list[ClusterMember], leader: ClusterMember) -> None:
    """As `move_leader`, while others are away."""
    everybody = cluster.members
    cluster.members = members
    try:
        move_leader(cluster, leader)
    finally:
        cluster.members = everybody


def _snapshots_received(member: ClusterMember) -> int:
    """Count by the log: both kinds have the same words for it."""
    return member.log_path.read_text(errors="replace").count(RECEIVED)


@pytest.mark.slow
def test_each_kind_catches_up_by_a_snapshot_of_the_other(tmp_path: Path) -> None:
    with start_mixed_cluster(tmp_path, (REAL, OURS, REAL), flags=FLAGS) as cluster:
        real, ours, other = cluster.members
        with Client([real.endpoint]) as client:
            client.lease.grant(600, 7)
            client.kv.put(b"leased", b"1", lease=7)
            client.kv.put(b"gone", b"1")
            client.kv.delete(b"gone")

        _catch_up(cluster, leader=ours, away=other)
        _catch_up(cluster, leader=real, away=ours)

        with Client([ours.endpoint]) as client:  # what came by the snapshot works
            client.lease.revoke(7)
        wait_agreed(cluster.members)
        for member in cluster.members:
            with Client([member.endpoint]) as client:
                assert client.kv.get(b"leased", serializable=True).count == 0


# -- v2


def _ask_v2(member: ClusterMember, method: str, path: str, **form: object) -> Any:
    """Make a request of the v2 API; return status and JSON."""
    data = urllib.parse.urlencode(form).encode() if form else None
    request = urllib.request.Request(f"{member.client_url}/v2/keys/{path}", data=data, method=method)
    with _no_redirect().open(request, timeout=CALL_SECONDS) as response:
        return json.loads(response.read())


def _no_redirect() -> urllib.request.OpenerDirector:
    class Lenient(urllib.request.HTTPErrorProcessor):
        def http_response(self, request: Any, response: Any) -> Any:
            return response

    return urllib.request.build_opener(Lenient)


def _tree(member: ClusterMember) -> Mapping[str, Any]:
    """All v2 keys of a real member, as it has them."""
    answer = _ask_v2(member, "GET", "?recursive=true&sorted=true")
    assert "node" in answer, answer
    tree: Mapping[str, Any] = _without_ttl(answer["node"])
    return tree


def _without_ttl(node: Any) -> Any:
    """Seconds pass."""
    if isinstance(node, dict):
        return {name: _without_ttl(value) for name, value in node.items() if name != "ttl"}
    return [_without_ttl(value) for value in node] if isinstance(node, list) else node


def _write_v2(member: ClusterMember) -> None:
    _ask_v2(member, "PUT", "a/b", value="1")
    _ask_v2(member, "PUT", "a/b", value="2", prevValue="1")
    _ask_v2(member, "PUT", "a/b", value="3", prevValue="wrong")
    _ask_v2(member, "PUT", "a/b", value="3", prevExist="false")
    _ask_v2(member, "PUT", "directory", dir="true")
    _ask_v2(member, "POST", "queue", value="first")
    _ask_v2(member, "POST", "queue", value="second")
    _ask_v2(member, "PUT", "gone", value="1")
    _ask_v2(member, "DELETE", "gone")
    _ask_v2(member, "DELETE", "nothing")
    _ask_v2(member, "PUT", "many/%C3%A9", value="\u00e9\u4e2d")
    _ask_v2(member, "PUT", "long", value="1", ttl=3600)
    _ask_v2(member, "PUT", "brief", value="1", ttl=TTL_SECONDS)
    _ask_v2(member, "PUT", "brief-directory", dir="true", ttl=TTL_SECONDS)


@pytest.mark.slow
def test_v2_keys_of_real_members_live_in_ours_too(tmp_path: Path) -> None:
    """A real member that lost its memory of them gets them back from a snapshot of ours."""
    with start_mixed_cluster(tmp_path, (REAL, OURS, REAL), flags=FLAGS) as cluster:
        real, ours, other = cluster.members
        for member in (real, other):
            member.restart(flags=(*FLAGS, "--enable-v2"))
        cluster.wait_until_healthy()
        move_leader(cluster, real)  # SYNC is the leader's; only a real one makes it
        _write_v2(other)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any("brief" in node["key"] for node in _tree(real)["nodes"]):
            assert time.monotonic() < deadline, "keys do not run out"
            time.sleep(PAUSE_SECONDS)
        before = _tree(real)
        assert len(before["nodes"]) == 5

        other.stop()
        move_leader_among(cluster, [real, ours], ours)
        put_many([real.endpoint, ours.endpoint], ENTRIES_AWAY)
        with Client([ours.endpoint]) as client:
            client.kv.put(b"after", b"1")
        other.restart(wait=False)
        wait_read(other, b"after", b"1")
        assert _snapshots_received(other) == 1
        assert _tree(other) == before
        _ask_v2(other, "PUT", "a/b", value="4")
        assert _ask_v2(real, "GET", "a/b?quorum=true") == _ask_v2(other, "GET", "a/b?quorum=true")
        ours.restart()
        wait_agreed(cluster.members)
