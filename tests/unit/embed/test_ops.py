"""What /health and /metrics see of a node is what the node is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from etcdpy.api.ops.source import OpsSource, RaisedAlarm
from etcdpy.base.errors import Stopped
from etcdpy.embed.ops import NodeOps
from etcdpy.pb.rpc_pb2 import NOSPACE, AlarmRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest
from etcdpy.state.apply import proposal as kinds
from tests.unit.embed.open_node import open_node
from tests.unit.server.spine import run


def metrics(ops: NodeOps) -> dict[str, float]:
    found = {}
    for line in ops.metrics_text().decode().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def test_a_node_is_a_source_for_the_ops_pages(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            source: OpsSource = NodeOps(node, {})

            assert source.cluster_version() == "not_decided"
            await node.housekeeper.publish("one", [])
            assert source.cluster_version() == "3.5.0"
            assert (source.leader_id(), source.is_learner(), source.alarms()) == (node.member_id, False, [])
            assert source.health is node.metrics.health

    run(scenario())


def test_alarms_are_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            request = AlarmRequest(action=AlarmRequest.ACTIVATE, memberID=7, alarm=NOSPACE)
            await node.service.call(kinds.ALARM, request)

            assert NodeOps(node, {}).alarms() == [RaisedAlarm(7, "NOSPACE")]

    run(scenario())


def test_raft_status_tells_the_role(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path, elect=False) as (node, _):
            before = NodeOps(node, {}).raft_status()
            assert (before["raftState"], before["lead"], before["id"]) == ("StateFollower", "0", "d46c78f094ae4bda")
        async with open_node(tmp_path) as (node, _):
            after = NodeOps(node, {}).raft_status()
            assert (after["raftState"], after["lead"]) == ("StateLeader", "d46c78f094ae4bda")
            assert after["commit"] == after["applied"] == node.member.applied_index

    run(scenario())


def test_a_check_reads_as_a_client_would(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path, elect=False, initial_election_tick_advance=False) as (node, _):
            ops = NodeOps(node, {})
            await ops.check_read(serializable=True)
            waiting = asyncio.ensure_future(ops.check_read(serializable=False))
            await asyncio.sleep(0)
            assert not waiting.done(), "there is no leader"
            node.service.stop()
            with pytest.raises(Stopped):
                await waiting
        async with open_node(tmp_path) as (node, _):
            await NodeOps(node, {}).check_read(serializable=False)

    run(scenario())


def test_metrics_count_what_was_done(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            for number in range(3):
                await node.service.call(kinds.PUT, PutRequest(key=b"%d" % number))
            await node.service.call(kinds.LEASE_GRANT, LeaseGrantRequest(ID=7, TTL=60))
            await node.service.call(kinds.LEASE_REVOKE, LeaseRevokeRequest(ID=7))
            found = metrics(NodeOps(node, {}))

            expected = {
                "etcd_mvcc_put_total": 3,
                "etcd_debugging_mvcc_keys_total": 3,
                "etcd_debugging_mvcc_current_revision": 4,
                "etcd_debugging_lease_granted_total": 1,
                "etcd_debugging_lease_revoked_total": 1,
                "etcd_server_has_leader": 1,
                "etcd_server_is_leader": 1,
                "etcd_server_leader_changes_seen_total": 1,
                "etcd_server_proposals_applied_total": node.member.applied_index,
                "etcd_server_proposals_pending": 0,
                "etcd_server_quota_backend_bytes": 2 << 30,
                "etcd_mvcc_db_total_size_in_bytes": node.backend.size_bytes(),
            }
            assert {name: found[name] for name in expected} == expected
            assert found["etcd_disk_wal_fsync_duration_seconds_count"] > 0

    run(scenario())


def test_a_scrape_shows_the_node_as_it_is_then(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            ops = NodeOps(node, {})
            before = metrics(ops)["etcd_mvcc_put_total"]
            await node.service.call(kinds.PUT, PutRequest(key=b"a"))

            assert (before, metrics(ops)["etcd_mvcc_put_total"]) == (0, 1)

    run(scenario())
