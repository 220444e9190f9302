"""Copies into a MetricsSource what is a plain number elsewhere in a node; done at each scrape and never in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from etcdpy.base.ids import format_id
from etcdpy.embed.node import Node
from etcdpy.server.metrics_histogram import Histogram
from etcdpy.server.metrics_source import (
    PEER_ROUND_TRIP_BUCKETS,
    PEER_SNAPSHOT_BUCKETS,
    Counts,
    Histograms,
    MetricsSource,
)
from etcdpy.transport.peer.counters import Counters, Observation

# What etcd calls the writes of the v2 store -> what our statistics call them.
V2_WRITES: Final = {
    "set": "sets",
    "create": "create",
    "update": "update",
    "delete": "delete",
    "compareAndSwap": "compare_and_swap",
    "compareAndDelete": "compare_and_delete",
}


def refresh(source: MetricsSource, node: Node) -> None:
    _refresh_server(source, node)
    _refresh_state(source, node)
    _refresh_v2_store(source, node)
    _refresh_disk(source, node)
    _refresh_network(source, node.peers.network.metrics(), format_id(node.member_id))


def _refresh_server(source: MetricsSource, node: Node) -> None:
    member, service, changes = node.member, node.service, node.reconfiguration
    source.cluster_version = ".".join(node.roster.version.split(".")[:2])
    source.has_leader = int(member.leader_id != 0)
    source.is_leader = int(member.is_leader)
    source.is_learner = int(member.is_learner)
    source.leader_changes_seen_total = node.housekeeper.leader_changes_seen
    source.heartbeat_send_failures_total = node.late_heartbeats.total
    source.learner_promote_successes = changes.promotions_succeeded
    source.learner_promote_failures = {(reason,): count for reason, count in changes.promotions_failed.items()}
    source.proposals_committed_total = member.committed_index
    source.proposals_applied_total = member.applied_index
    source.proposals_pending = service.proposals_pending
    source.proposals_failed_total = service.proposals_failed
    source.slow_apply_total = node.apply_times.slow_total
    source.slow_read_indexes_total = service.slow_read_indexes
    source.read_indexes_failed_total = service.read_indexes_failed
    source.snapshot_apply_in_progress_total = node.peers.installing
    source.quota_backend_bytes = node.quota.limit_bytes or 0


def _refresh_state(source: MetricsSource, node: Node) -> None:
    store, counters, lessor, hub = node.store, node.store.counters, node.lessor, node.hub
    source.put_total = counters.puts
    source.delete_total = counters.deletes
    source.range_total = counters.ranges
    source.txn_total = counters.txns
    source.total_put_size_in_bytes = counters.put_bytes
    source.db_compaction_keys_total = counters.compacted_keys
    source.current_revision = store.current_revision
    source.compact_revision = store.compact_revision
    source.keys_total = store.keys_total
    source.events_total = hub.events_sent
    source.watcher_total = hub.watcher_count
    source.watch_stream_total = hub.stream_count
    source.slow_watcher_total = hub.unsynced_count
    source.auth_revision = node.permissions.auth.revision
    source.lease_granted_total = lessor.granted_count
    source.lease_renewed_total = lessor.renewed_count
    source.lease_revoked_total = lessor.revoked_count
    source.lease_expired_total = node.housekeeper.leases_expired


def _refresh_v2_store(source: MetricsSource, node: Node) -> None:
    v2store, stats = node.recovered.v2store, node.recovered.v2store.stats
    source.store_writes_total = _children({name: getattr(stats, f"{ours}_success") for name, ours in V2_WRITES.items()})
    source.store_writes_failed_total = _children(
        {name: getattr(stats, f"{ours}_fail") for name, ours in V2_WRITES.items()}
    )
    recursive = v2store.recursive_gets
    source.store_reads_total = _children({"get": stats.gets_success - recursive, "getRecursive": recursive})
    source.store_reads_failed_total = _children({"get": stats.gets_fail})
    source.store_expires_total = stats.expire_count


def _children(counts: Mapping[str, int]) -> Counts:
    """Return the children of a family: as in etcd, a kind appears when it is counted first."""
    return {(name,): count for name, count in counts.items() if count}


def _refresh_disk(source: MetricsSource, node: Node) -> None:
    wal, backend, snapshotter = node.recovered.wal, node.backend, node.recovered.snapshotter
    source.wal_fsync_duration_seconds.observe_many(wal.take_fsync_durations())
    source.wal_write_duration_seconds.observe_many(wal.take_write_durations())
    source.wal_write_bytes_total = wal.written_bytes
    source.backend_commit_duration_seconds.observe_many(backend.take_commit_durations())
    source.db_total_size_in_bytes = backend.size_bytes()
    source.db_total_size_in_use_in_bytes = backend.size_in_use_bytes()
    while snapshotter.save_durations:
        encoding, writing = snapshotter.save_durations.popleft()
        source.snap_save_marshalling_duration_seconds.observe(encoding)
        source.snap_fsync_duration_seconds.observe(writing)
        source.snap_save_total_duration_seconds.observe(encoding + writing)


def _refresh_network(source: MetricsSource, counters: Counters, local: str) -> None:
    source.active_peers = {(local, format_id(peer)): count for peer, count in counters.active.items()}
    source.disconnected_peers_total = {(local, format_id(peer)): count for peer, count in counters.disconnected.items()}
    source.peer_sent_bytes_total = _by_peer(counters.sent_bytes)
    source.peer_received_bytes_total = _by_peer(counters.received_bytes)
    source.peer_sent_failures_total = _by_peer(counters.sent_failures)
    source.peer_received_failures_total = _by_peer(counters.received_failures)
    source.snapshot_send_success = _by_peer(counters.snapshot_send_success)
    source.snapshot_send_failures = _by_peer(counters.snapshot_send_failures)
    source.snapshot_send_inflights_total = _by_peer(counters.snapshot_send_inflights)
    source.snapshot_receive_success = _by_peer(counters.snapshot_receive_success)
    source.snapshot_receive_failures = _by_peer(counters.snapshot_receive_failures)
    source.snapshot_receive_inflights_total = _by_peer(counters.snapshot_receive_inflights)
    _observe(source.peer_round_trip_time_seconds, PEER_ROUND_TRIP_BUCKETS, counters.round_trips.take())
    _observe(source.snapshot_send_total_duration_seconds, PEER_SNAPSHOT_BUCKETS, counters.snapshot_sends.take())
    received = counters.snapshot_receives.take()
    _observe(source.snapshot_receive_total_duration_seconds, PEER_SNAPSHOT_BUCKETS, received)
    # Receiving is saving: the pieces go to the file as they come.
    source.snap_db_save_total_duration_seconds.observe_many(seconds for _, seconds in received)


def _by_peer(counts: Mapping[int, int]) -> Counts:
    return {(format_id(peer),): count for peer, count in counts.items()}


def _observe(histograms: Histograms, bounds: tuple[float, ...], observations: list[Observation]) -> None:
    for peer, seconds in observations:
        labels = (format_id(peer),)
        if labels not in histograms:
            histograms[labels] = Histogram(bounds)
        histograms[labels].observe(seconds)
