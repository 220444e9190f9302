"""What /metrics shows of one member: plain numbers that whoever knows them writes into a MetricsSource.

Two ways to write, as suits the owner of the number:

  * count here, where it happens: `source.lease_granted_total += 1`, `source.wal_fsync_duration_seconds.observe(took)`;
  * keep it where it is, and copy it in the `refresh` that `Metrics` calls before each scrape.

Attributes bear the names of the metrics without `etcd_` and the subsystem. Labelled ones are dictionaries from the
tuple of label values, in the order of `etcdpy.server.metrics_table`; a family without children is not shown, as in
etcd.

Everything is touched on the loop's thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from etcdpy.server.metrics_histogram import Histogram, exponential_buckets

DISK_BUCKETS: Final = exponential_buckets(0.001, 2, 14)
APPLY_BUCKETS: Final = exponential_buckets(0.0001, 2, 20)
DEFRAG_BUCKETS: Final = exponential_buckets(0.1, 2, 13)
SNAPSHOT_BUCKETS: Final = exponential_buckets(0.01, 2, 17)
SNAP_DB_FSYNC_BUCKETS: Final = exponential_buckets(0.001, 2, 14)
SNAP_DB_SAVE_BUCKETS: Final = exponential_buckets(0.1, 2, 10)
HASH_BUCKETS: Final = exponential_buckets(0.01, 2, 15)
COMPACTION_PAUSE_MS_BUCKETS: Final = exponential_buckets(1, 2, 13)
COMPACTION_TOTAL_MS_BUCKETS: Final = exponential_buckets(100, 2, 14)
INDEX_COMPACTION_PAUSE_MS_BUCKETS: Final = exponential_buckets(0.5, 2, 14)
LEASE_TTL_BUCKETS: Final = exponential_buckets(1, 2, 24)
PEER_ROUND_TRIP_BUCKETS: Final = exponential_buckets(0.0001, 2, 16)
PEER_SNAPSHOT_BUCKETS: Final = exponential_buckets(0.1, 2, 10)
# Prometheus' usual ones, which go-grpc-prometheus takes.
GRPC_HANDLING_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Labels = tuple[str, ...]
Counts = dict[Labels, float]
Histograms = dict[Labels, Histogram]


class GrpcMethodCounts(Protocol):
    """What the transport counts per method."""

    @property
    def started(self) -> int: ...
    @property
    def messages_received(self) -> int: ...
    @property
    def messages_sent(self) -> int: ...
    @property
    def bytes_received(self) -> int: ...
    @property
    def bytes_sent(self) -> int: ...
    @property
    def handled(self) -> Mapping[int, int]:
        """Calls ended, by gRPC code."""

    @property
    def client_versions(self) -> Mapping[bytes | None, int]:
        """Calls begun, by the version that the client says it has."""

    observe: Callable[[float], None] | None  # told how long each call took


class HealthCounts:
    """What the health endpoints found; `api.ops` writes it, /metrics shows it."""

    __slots__ = ("checks_total", "failures", "last", "success")

    def __init__(self) -> None:
        self.success = 0  # of /health
        self.failures = 0
        self.last: Counts = {}  # (type, name): 1 when the last check passed, else 0
        self.checks_total: Counts = {}  # (type, name, status)

    def record(self, *, kind: str, name: str, passed: bool) -> None:
        """Count one check of /livez or /readyz."""
        self.last[(kind, name)] = 1 if passed else 0
        key = (kind, name, "success" if passed else "error")
        self.checks_total[key] = self.checks_total.get(key, 0) + 1


def _histogram(bounds: tuple[float, ...]) -> Histogram:
    return field(default_factory=lambda: Histogram(bounds))


@dataclass(slots=True, kw_only=True)
class MetricsSource:
    # Server
    server_id: str = ""  # hexadecimal
    server_version: str = ""
    cluster_version: str = ""  # major.minor; empty until decided
    has_leader: int = 0
    is_leader: int = 0
    is_learner: int = 0
    leader_changes_seen_total: int = 0
    heartbeat_send_failures_total: int = 0
    learner_promote_successes: int = 0
    learner_promote_failures: Counts = field(default_factory=dict)  # Reason
    proposals_committed_total: int = 0
    proposals_applied_total: int = 0
    proposals_pending: int = 0
    proposals_failed_total: int = 0
    slow_apply_total: int = 0
    slow_read_indexes_total: int = 0
    read_indexes_failed_total: int = 0
    quota_backend_bytes: int = 0
    snapshot_apply_in_progress_total: int = 0
    apply_duration_seconds: Histograms = field(default_factory=dict)  # version, op, success
    health: HealthCounts = field(default_factory=HealthCounts)

    # mvcc
    put_total: int = 0
    delete_total: int = 0
    range_total: int = 0
    txn_total: int = 0
    current_revision: int = 0
    compact_revision: int = 0
    keys_total: int = 0
    total_put_size_in_bytes: int = 0
    db_total_size_in_bytes: int = 0
    db_total_size_in_use_in_bytes: int = 0
    db_open_read_transactions: int = 0
    db_compaction_keys_total: int = 0
    db_compaction_last: float = 0  # Unix seconds
    hash_duration_seconds: Histogram = _histogram(HASH_BUCKETS)
    hash_rev_duration_seconds: Histogram = _histogram(HASH_BUCKETS)
    db_compaction_pause_duration_milliseconds: Histogram = _histogram(COMPACTION_PAUSE_MS_BUCKETS)
    db_compaction_total_duration_milliseconds: Histogram = _histogram(COMPACTION_TOTAL_MS_BUCKETS)
    index_compaction_pause_duration_milliseconds: Histogram = _histogram(INDEX_COMPACTION_PAUSE_MS_BUCKETS)

    # Watches
    events_total: int = 0
    pending_events_total: int = 0
    slow_watcher_total: int = 0
    watcher_total: int = 0
    watch_stream_total: int = 0

    # Leases
    lease_granted_total: int = 0
    lease_renewed_total: int = 0
    lease_revoked_total: int = 0
    lease_expired_total: int = 0
    lease_ttl_total: Histogram = _histogram(LEASE_TTL_BUCKETS)

    # Auth
    auth_revision: int = 1

    # Disk
    wal_fsync_duration_seconds: Histogram = _histogram(DISK_BUCKETS)
    wal_write_duration_seconds: Histogram = _histogram(DISK_BUCKETS)
    wal_write_bytes_total: int = 0
    backend_commit_duration_seconds: Histogram = _histogram(DISK_BUCKETS)
    backend_commit_rebalance_duration_seconds: Histogram = _histogram(DISK_BUCKETS)
    backend_commit_spill_duration_seconds: Histogram = _histogram(DISK_BUCKETS)
    backend_commit_write_duration_seconds: Histogram = _histogram(DISK_BUCKETS)
    backend_defrag_duration_seconds: Histogram = _histogram(DEFRAG_BUCKETS)
    backend_snapshot_duration_seconds: Histogram = _histogram(SNAPSHOT_BUCKETS)
    defrag_inflight: int = 0
    snap_save_marshalling_duration_seconds: Histogram = _histogram(DISK_BUCKETS)
    snap_save_total_duration_seconds: Histogram = _histogram(DISK_BUCKETS)
    snap_fsync_duration_seconds: Histogram = _histogram(DISK_BUCKETS)
    snap_db_fsync_duration_seconds: Histogram = _histogram(SNAP_DB_FSYNC_BUCKETS)
    snap_db_save_total_duration_seconds: Histogram = _histogram(SNAP_DB_SAVE_BUCKETS)

    # v2 store
    store_reads_total: Counts = field(default_factory=dict)  # action
    store_writes_total: Counts = field(default_factory=dict)  # action
    store_reads_failed_total: Counts = field(default_factory=dict)  # action
    store_writes_failed_total: Counts = field(default_factory=dict)  # action
    store_expires_total: int = 0
    store_watch_requests_total: int = 0
    store_watchers: int = 0

    # Network
    active_peers: Counts = field(default_factory=dict)  # Local, Remote
    disconnected_peers_total: Counts = field(default_factory=dict)  # Local, Remote
    peer_sent_bytes_total: Counts = field(default_factory=dict)  # To
    peer_received_bytes_total: Counts = field(default_factory=dict)  # From
    peer_sent_failures_total: Counts = field(default_factory=dict)  # To
    peer_received_failures_total: Counts = field(default_factory=dict)  # From
    peer_round_trip_time_seconds: Histograms = field(default_factory=dict)  # To
    server_stream_failures_total: Counts = field(default_factory=dict)  # Type, API
    snapshot_send_success: Counts = field(default_factory=dict)  # To
    snapshot_send_failures: Counts = field(default_factory=dict)  # To
    snapshot_send_inflights_total: Counts = field(default_factory=dict)  # To
    snapshot_send_total_duration_seconds: Histograms = field(default_factory=dict)  # To
    snapshot_receive_success: Counts = field(default_factory=dict)  # From
    snapshot_receive_failures: Counts = field(default_factory=dict)  # From
    snapshot_receive_inflights_total: Counts = field(default_factory=dict)  # From
    snapshot_receive_total_duration_seconds: Histograms = field(default_factory=dict)  # From

    # gRPC. The counts of `grpc_methods` are the transport's own objects, read at each scrape.
    grpc_methods: Mapping[bytes, GrpcMethodCounts] = field(default_factory=dict)
    grpc_handling_seconds: Histograms = field(default_factory=dict)  # grpc_type, grpc_service, grpc_method
