"""Every etcd_* family that a 3.5 member can show, as data: name, kind, help, labels, and where its number stands.

Names, kinds and labels are etcd's to the letter, also where they break Prometheus' own rules (gauges and histograms
called `_total`): dashboards and alerts are written against them. NOT_HERE tells
what is left out on purpose, and what is shown but has nothing to tell.
"""

# ruff: noqa: E501

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Family(NamedTuple):
    name: str
    kind: Kind
    help: str
    attribute: str  # of MetricsSource
    labels: tuple[str, ...] = ()


# fmt: off
FAMILIES: Final[tuple[Family, ...]] = (
    # Server
    Family("etcd_server_has_leader", "gauge", "1 if this member knows a leader, else 0.", "has_leader"),
    Family("etcd_server_is_leader", "gauge", "1 if this member leads, else 0.", "is_leader"),
    Family("etcd_server_is_learner", "gauge", "1 if this member has no vote, else 0.", "is_learner"),
    Family("etcd_server_leader_changes_seen_total", "counter", "Changes of leader that this member saw.", "leader_changes_seen_total"),
    Family("etcd_server_heartbeat_send_failures_total", "counter", "Heartbeats that left late, mostly because of a slow disk.", "heartbeat_send_failures_total"),
    Family("etcd_server_learner_promote_successes", "counter", "Learners promoted while this member led.", "learner_promote_successes"),
    Family("etcd_server_learner_promote_failures", "counter", "Learners that could not be promoted while this member led.", "learner_promote_failures", ("Reason",)),
    Family("etcd_server_proposals_committed_total", "gauge", "Index of the last committed proposal.", "proposals_committed_total"),
    Family("etcd_server_proposals_applied_total", "gauge", "Index of the last applied proposal.", "proposals_applied_total"),
    Family("etcd_server_proposals_pending", "gauge", "Proposals on their way.", "proposals_pending"),
    Family("etcd_server_proposals_failed_total", "counter", "Proposals that failed.", "proposals_failed_total"),
    Family("etcd_server_slow_apply_total", "counter", "Entries that took long to apply.", "slow_apply_total"),
    Family("etcd_server_slow_read_indexes_total", "counter", "Read index requests that were late.", "slow_read_indexes_total"),
    Family("etcd_server_read_indexes_failed_total", "counter", "Read index requests that failed.", "read_indexes_failed_total"),
    Family("etcd_server_quota_backend_bytes", "gauge", "Size at which the NOSPACE alarm rises.", "quota_backend_bytes"),
    Family("etcd_server_snapshot_apply_in_progress_total", "gauge", "1 while a received snapshot is applied, else 0.", "snapshot_apply_in_progress_total"),
    Family("etcd_server_apply_duration_seconds", "histogram", "Time to apply an entry.", "apply_duration_seconds", ("version", "op", "success")),
    # mvcc
    Family("etcd_mvcc_put_total", "counter", "Puts applied by this member.", "put_total"),
    Family("etcd_mvcc_delete_total", "counter", "Deletes applied by this member.", "delete_total"),
    Family("etcd_mvcc_range_total", "counter", "Ranges served by this member.", "range_total"),
    Family("etcd_mvcc_txn_total", "counter", "Transactions applied by this member.", "txn_total"),
    Family("etcd_mvcc_db_total_size_in_bytes", "gauge", "Size of the store on disk.", "db_total_size_in_bytes"),
    Family("etcd_mvcc_db_total_size_in_use_in_bytes", "gauge", "Size of what is in use of it.", "db_total_size_in_use_in_bytes"),
    Family("etcd_mvcc_db_open_read_transactions", "gauge", "Open read transactions of the store.", "db_open_read_transactions"),
    Family("etcd_mvcc_hash_duration_seconds", "histogram", "Time to hash the store.", "hash_duration_seconds"),
    Family("etcd_mvcc_hash_rev_duration_seconds", "histogram", "Time to hash the keys up to a revision.", "hash_rev_duration_seconds"),
    Family("etcd_debugging_mvcc_current_revision", "gauge", "Current revision.", "current_revision"),
    Family("etcd_debugging_mvcc_compact_revision", "gauge", "Revision of the last compaction.", "compact_revision"),
    Family("etcd_debugging_mvcc_keys_total", "gauge", "Keys in the store.", "keys_total"),
    Family("etcd_debugging_mvcc_range_total", "counter", "Ranges served by this member.", "range_total"),
    Family("etcd_debugging_mvcc_total_put_size_in_bytes", "gauge", "Bytes of keys and values put.", "total_put_size_in_bytes"),
    Family("etcd_debugging_mvcc_db_compaction_keys_total", "counter", "Records deleted by compactions.", "db_compaction_keys_total"),
    Family("etcd_debugging_mvcc_db_compaction_last", "gauge", "Unix time of the last compaction since the start.", "db_compaction_last"),
    Family("etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds", "histogram", "Time of one step of a compaction.", "db_compaction_pause_duration_milliseconds"),
    Family("etcd_debugging_mvcc_db_compaction_total_duration_milliseconds", "histogram", "Time of a whole compaction.", "db_compaction_total_duration_milliseconds"),
    Family("etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds", "histogram", "Time of one step of the index' compaction.", "index_compaction_pause_duration_milliseconds"),
    # Watches
    Family("etcd_debugging_mvcc_events_total", "counter", "Events sent to watchers.", "events_total"),
    Family("etcd_debugging_mvcc_pending_events_total", "gauge", "Events that wait to be sent.", "pending_events_total"),
    Family("etcd_debugging_mvcc_slow_watcher_total", "gauge", "Watchers that lag behind.", "slow_watcher_total"),
    Family("etcd_debugging_mvcc_watcher_total", "gauge", "Watchers.", "watcher_total"),
    Family("etcd_debugging_mvcc_watch_stream_total", "gauge", "Streams of watchers.", "watch_stream_total"),
    # Leases
    Family("etcd_debugging_lease_granted_total", "counter", "Leases granted.", "lease_granted_total"),
    Family("etcd_debugging_lease_renewed_total", "counter", "Leases renewed while this member led.", "lease_renewed_total"),
    Family("etcd_debugging_lease_revoked_total", "counter", "Leases revoked.", "lease_revoked_total"),
    Family("etcd_debugging_lease_ttl_total", "histogram", "Times to live of leases, in seconds.", "lease_ttl_total"),
    Family("etcd_debugging_server_lease_expired_total", "counter", "Leases that ran out.", "lease_expired_total"),
    # Auth
    Family("etcd_debugging_auth_revision", "gauge", "Revision of users and roles.", "auth_revision"),
    # Disk
    Family("etcd_disk_wal_fsync_duration_seconds", "histogram", "Time to sync the write-ahead log.", "wal_fsync_duration_seconds"),
    Family("etcd_disk_wal_write_duration_seconds", "histogram", "Time to write to the write-ahead log.", "wal_write_duration_seconds"),
    Family("etcd_disk_wal_write_bytes_total", "gauge", "Bytes written to the write-ahead log.", "wal_write_bytes_total"),
    Family("etcd_disk_backend_commit_duration_seconds", "histogram", "Time to commit to the store.", "backend_commit_duration_seconds"),
    Family("etcd_debugging_disk_backend_commit_rebalance_duration_seconds", "histogram", "Part of a bbolt commit; the live store has none.", "backend_commit_rebalance_duration_seconds"),
    Family("etcd_debugging_disk_backend_commit_spill_duration_seconds", "histogram", "Part of a bbolt commit; the live store has none.", "backend_commit_spill_duration_seconds"),
    Family("etcd_debugging_disk_backend_commit_write_duration_seconds", "histogram", "Part of a bbolt commit; the live store has none.", "backend_commit_write_duration_seconds"),
    Family("etcd_disk_backend_defrag_duration_seconds", "histogram", "Time to defragment the store.", "backend_defrag_duration_seconds"),
    Family("etcd_disk_backend_snapshot_duration_seconds", "histogram", "Time to send a snapshot of the store.", "backend_snapshot_duration_seconds"),
    Family("etcd_disk_defrag_inflight", "gauge", "1 while the store is defragmented, else 0.", "defrag_inflight"),
    Family("etcd_debugging_snap_save_marshalling_duration_seconds", "histogram", "Time to encode a snapshot.", "snap_save_marshalling_duration_seconds"),
    Family("etcd_debugging_snap_save_total_duration_seconds", "histogram", "Time to save a snapshot.", "snap_save_total_duration_seconds"),
    Family("etcd_snap_fsync_duration_seconds", "histogram", "Time to sync a snapshot.", "snap_fsync_duration_seconds"),
    Family("etcd_snap_db_fsync_duration_seconds", "histogram", "Time to sync a received store.", "snap_db_fsync_duration_seconds"),
    Family("etcd_snap_db_save_total_duration_seconds", "histogram", "Time to save a received store.", "snap_db_save_total_duration_seconds"),
    # v2 store
    Family("etcd_debugging_store_reads_total", "counter", "Reads of the v2 store by kind.", "store_reads_total", ("action",)),
    Family("etcd_debugging_store_writes_total", "counter", "Writes to the v2 store by kind.", "store_writes_total", ("action",)),
    Family("etcd_debugging_store_reads_failed_total", "counter", "Failed reads of the v2 store by kind.", "store_reads_failed_total", ("action",)),
    Family("etcd_debugging_store_writes_failed_total", "counter", "Failed writes to the v2 store by kind.", "store_writes_failed_total", ("action",)),
    Family("etcd_debugging_store_expires_total", "counter", "Keys of the v2 store that ran out.", "store_expires_total"),
    Family("etcd_debugging_store_watch_requests_total", "counter", "Watches asked of the v2 store.", "store_watch_requests_total"),
    Family("etcd_debugging_store_watchers", "gauge", "Watchers of the v2 store.", "store_watchers"),
    # Network
    Family("etcd_network_active_peers", "gauge", "Connections to peers.", "active_peers", ("Local", "Remote")),
    Family("etcd_network_disconnected_peers_total", "counter", "Connections to peers that were lost.", "disconnected_peers_total", ("Local", "Remote")),
    Family("etcd_network_peer_sent_bytes_total", "counter", "Bytes sent to a peer.", "peer_sent_bytes_total", ("To",)),
    Family("etcd_network_peer_received_bytes_total", "counter", "Bytes received from a peer.", "peer_received_bytes_total", ("From",)),
    Family("etcd_network_peer_sent_failures_total", "counter", "Failed sends to a peer.", "peer_sent_failures_total", ("To",)),
    Family("etcd_network_peer_received_failures_total", "counter", "Failed receives from a peer.", "peer_received_failures_total", ("From",)),
    Family("etcd_network_peer_round_trip_time_seconds", "histogram", "Time to a peer and back.", "peer_round_trip_time_seconds", ("To",)),
    Family("etcd_network_server_stream_failures_total", "counter", "Streams of clients that failed on our side.", "server_stream_failures_total", ("Type", "API")),
    Family("etcd_network_snapshot_send_success", "counter", "Snapshots sent.", "snapshot_send_success", ("To",)),
    Family("etcd_network_snapshot_send_failures", "counter", "Snapshots that could not be sent.", "snapshot_send_failures", ("To",)),
    Family("etcd_network_snapshot_send_inflights_total", "gauge", "Snapshots being sent.", "snapshot_send_inflights_total", ("To",)),
    Family("etcd_network_snapshot_send_total_duration_seconds", "histogram", "Time to send a snapshot.", "snapshot_send_total_duration_seconds", ("To",)),
    Family("etcd_network_snapshot_receive_success", "counter", "Snapshots received.", "snapshot_receive_success", ("From",)),
    Family("etcd_network_snapshot_receive_failures", "counter", "Snapshots that could not be received.", "snapshot_receive_failures", ("From",)),
    Family("etcd_network_snapshot_receive_inflights_total", "gauge", "Snapshots being received.", "snapshot_receive_inflights_total", ("From",)),
    Family("etcd_network_snapshot_receive_total_duration_seconds", "histogram", "Time to receive a snapshot.", "snapshot_receive_total_duration_seconds", ("From",)),
)

# Their attributes are of HealthCounts.
HEALTH_FAMILIES: Final[tuple[Family, ...]] = (
    Family("etcd_server_health_success", "counter", "Times that /health was good.", "success"),
    Family("etcd_server_health_failures", "counter", "Times that /health was bad.", "failures"),
    Family("etcd_server_healthcheck", "gauge", "Last result of each check: 1 is good.", "last", ("type", "name")),
    Family("etcd_server_healthchecks_total", "counter", "Checks made by /livez and /readyz.", "checks_total", ("type", "name", "status")),
)

# The gRPC proxy shares etcd's program, so a member shows its families too, always at 0.
PROXY_FAMILIES: Final[tuple[Family, ...]] = (
    Family("etcd_grpc_proxy_cache_hits_total", "gauge", "Of a gRPC proxy; a member has none.", ""),
    Family("etcd_grpc_proxy_cache_keys_total", "gauge", "Of a gRPC proxy; a member has none.", ""),
    Family("etcd_grpc_proxy_cache_misses_total", "gauge", "Of a gRPC proxy; a member has none.", ""),
    Family("etcd_grpc_proxy_events_coalescing_total", "counter", "Of a gRPC proxy; a member has none.", ""),
    Family("etcd_grpc_proxy_watchers_coalescing_total", "gauge", "Of a gRPC proxy; a member has none.", ""),
)

# Read from the methods of the transport, the process and the member's identity: server.metrics makes them.
GRPC_LABELS: Final = ("grpc_type", "grpc_service", "grpc_method")
ELSEWHERE: Final[tuple[Family, ...]] = (
    Family("etcd_server_id", "gauge", "This member's id, as a label.", "", ("server_id",)),
    Family("etcd_server_version", "gauge", "This member's version, as a label.", "", ("server_version",)),
    Family("etcd_cluster_version", "gauge", "The cluster's version, as a label.", "", ("cluster_version",)),
    Family("etcd_server_client_requests_total", "counter", "Calls by kind and version of the client.", "", ("type", "client_api_version")),
    Family("etcd_network_client_grpc_received_bytes_total", "counter", "Bytes received from clients.", ""),
    Family("etcd_network_client_grpc_sent_bytes_total", "counter", "Bytes sent to clients.", ""),
    Family("grpc_server_started_total", "counter", "Calls begun.", "", GRPC_LABELS),
    Family("grpc_server_handled_total", "counter", "Calls ended, by their status.", "", (*GRPC_LABELS, "grpc_code")),
    Family("grpc_server_msg_received_total", "counter", "Messages received.", "", GRPC_LABELS),
    Family("grpc_server_msg_sent_total", "counter", "Messages sent.", "", GRPC_LABELS),
    Family("grpc_server_handling_seconds", "histogram", "Time to serve a call; with `--metrics=extensive`.", "", GRPC_LABELS),
    Family("os_fd_limit", "gauge", "Descriptors that may be open.", ""),
    Family("os_fd_used", "gauge", "Descriptors that are open.", ""),
    Family("process_cpu_seconds_total", "counter", "Time of processors used.", ""),
    Family("process_max_fds", "gauge", "Descriptors that may be open.", ""),
    Family("process_open_fds", "gauge", "Descriptors that are open.", ""),
    Family("process_resident_memory_bytes", "gauge", "Memory in use.", ""),
    Family("process_start_time_seconds", "gauge", "When the process began, in Unix seconds.", ""),
    Family("process_virtual_memory_bytes", "gauge", "Address space in use; the store's mapping is most of it.", ""),
    Family("process_virtual_memory_max_bytes", "gauge", "Address space that may be used.", ""),
)


class NotHere(NamedTuple):
    name: str
    is_shown: bool
    why: str


NOT_HERE: Final[tuple[NotHere, ...]] = (
    NotHere("etcd_server_go_version, go_*", False, "there is no Go here; `python_info` and `python_gc_*` stand in"),
    NotHere("promhttp_metric_handler_*", False, "of Go's HTTP handler"),
    NotHere("etcd_http_*, etcd_proxy_*", False, "of the v2 API and proxy, which are not there"),
    NotHere("etcd_debugging_disk_backend_commit_{rebalance,spill,write}_duration_seconds", True, "parts of a commit of bbolt; LMDB has none of them: `etcd_disk_backend_commit_duration_seconds` is the whole"),
    NotHere("etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds", True, "index and database are compacted in the same slices: `..._db_compaction_pause_duration_milliseconds` is how long one takes"),
    NotHere("etcd_debugging_mvcc_pending_events_total", True, "events are not queued per watcher: who is slow reads them again; `etcd_debugging_mvcc_slow_watcher_total` counts these"),
    NotHere("etcd_debugging_store_watch_requests_total, etcd_debugging_store_watchers", True, "nobody watches the v2 store"),
    NotHere("etcd_grpc_proxy_*", True, "of a gRPC proxy; a member has none"),
    NotHere("etcd_mvcc_db_open_read_transactions", True, "no client keeps a read transaction of the store open"),
    NotHere("etcd_network_server_stream_failures_total", False, "here a stream fails only with its client, which etcd does not count either"),
    NotHere("etcd_snap_db_fsync_duration_seconds", True, "a received database is synced while it is received: `etcd_snap_db_save_total_duration_seconds` is the whole"),
)
# fmt: on
