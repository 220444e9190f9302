"""What a scrape copies: peers and their round trips, the v2 store, the disk, promotions. See also test_ops."""

from __future__ import annotations

from pathlib import Path

from etcdpy.embed.metrics_refresh import refresh
from etcdpy.pb.rpc_pb2 import LeaseGrantRequest, PutRequest
from etcdpy.state.apply import proposal as kinds
from tests.unit.embed.open_node import open_node
from tests.unit.server.spine import run


def test_peers_are_named_by_their_ids(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            counters = node.peers.network.metrics()
            counters.active[0xABC] = 1
            counters.sent_bytes[0xABC] = 70
            counters.round_trips.add(0xABC, 0.5)
            counters.snapshot_receives.add(0xDEF, 2.0)
            refresh(node.metrics, node)
            refresh(node.metrics, node)

            assert node.metrics.active_peers == {("d46c78f094ae4bda", "abc"): 1}
            assert node.metrics.peer_sent_bytes_total == {("abc",): 70}
            assert node.metrics.peer_round_trip_time_seconds["abc",].count == 1, "an observation counts once"
            assert node.metrics.snapshot_receive_total_duration_seconds["def",].sum == 2.0
            assert node.metrics.snap_db_save_total_duration_seconds.sum == 2.0

    run(scenario())


def test_applying_is_measured_by_kind(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            await node.service.call(kinds.PUT, PutRequest(key=b"a"))
            await node.service.call(kinds.LEASE_GRANT, LeaseGrantRequest(ID=7, TTL=60))
            await node.housekeeper.publish("one", [])
            refresh(node.metrics, node)

            counts = {labels: histogram.count for labels, histogram in node.metrics.apply_duration_seconds.items()}
            assert counts["v3", "Put", "true"] == counts["v3", "LeaseGrant", "true"] == 1
            assert counts["v2", "PUT", "true"] >= 1
            assert (node.metrics.lease_ttl_total.count, node.metrics.lease_ttl_total.sum) == (1, 60)
            assert node.metrics.store_writes_total["set",] >= 1
            assert node.metrics.wal_write_duration_seconds.count > 0

    run(scenario())


def test_promotions_are_counted_by_what_came_of_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            node.reconfiguration.promotions_succeeded = 2
            node.reconfiguration.promotions_failed["etcdserver: member not found"] = 3
            node.late_heartbeats.total = 4
            refresh(node.metrics, node)

            assert node.metrics.learner_promote_successes == 2
            assert node.metrics.learner_promote_failures == {("etcdserver: member not found",): 3}
            assert node.metrics.heartbeat_send_failures_total == 4

    run(scenario())
