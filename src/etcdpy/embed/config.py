"""Config: every setting of one member, in one typed record.

It says what was asked for, with the defaults of etcd 3.5 filled in and nothing else: who fills it (flags, variables, a
file, a program that embeds a member) is known in `etcdpy.embed.flags` and its neighbours, what is wrong with it in
`etcdpy.embed.validate`, what of it we cannot do yet in `etcdpy.embed.support`.

Names are those of the flags. A quantity ends in its unit: durations are seconds, `_ms` stands where the flag itself is
a number of milliseconds. URLs are strings as the user wrote them, sorted as etcd sorts them.

Where 0 or "" means "the usual value", the field keeps the 0 and a property gives the value to use.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etcdpy.embed.flag_table import LOG_ROTATION_DEFAULT

NAME_DEFAULT: Final = "default"
PEER_URL_DEFAULT: Final = "http://localhost:2380"
CLIENT_URL_DEFAULT: Final = "http://localhost:2379"
INITIAL_CLUSTER_DEFAULT: Final = f"{NAME_DEFAULT}={PEER_URL_DEFAULT}"

QUOTA_BACKEND_BYTES_DEFAULT: Final = 2 * 1024 * 1024 * 1024
BACKEND_BATCH_INTERVAL_SECONDS_DEFAULT: Final = 0.1
BACKEND_BATCH_LIMIT_DEFAULT: Final = 10_000
# What etcd allows a request to take besides the elections that may come in between.
REQUEST_SECONDS_BASE: Final = 5.0

# Upstream's rafthttp.DefaultConnReadTimeout and -WriteTimeout: less than others take for it is of no use.
RAFT_TIMEOUT_SECONDS_MIN: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    # Member
    name: str = NAME_DEFAULT
    data_dir: str = ""  # Empty: `<name>.etcd`; see data_path.
    wal_dir: str = ""
    snapshot_count: int = 100_000
    snapshot_catchup_entries: int = 5_000
    heartbeat_interval_ms: int = 100
    election_timeout_ms: int = 1_000
    initial_election_tick_advance: bool = True
    listen_peer_urls: tuple[str, ...] = (PEER_URL_DEFAULT,)
    listen_client_urls: tuple[str, ...] = (CLIENT_URL_DEFAULT,)
    listen_client_http_urls: tuple[str, ...] = ()
    max_snapshots: int = 5
    max_wals: int = 5
    quota_backend_bytes: int = 0
    bbolt_freelist_type: str = "map"
    backend_batch_interval_seconds: float = 0.0
    backend_batch_limit: int = 0
    max_txn_ops: int = 128
    max_request_bytes: int = 1_572_864
    max_concurrent_streams: int = 4_294_967_295
    enable_grpc_gateway: bool = True
    grpc_keepalive_min_time_seconds: float = 5.0
    grpc_keepalive_interval_seconds: float = 7_200.0
    grpc_keepalive_timeout_seconds: float = 20.0
    socket_reuse_port: bool = False
    socket_reuse_address: bool = False
    raft_read_timeout_seconds: float = 5.0
    raft_write_timeout_seconds: float = 5.0

    # Clustering
    initial_advertise_peer_urls: tuple[str, ...] = (PEER_URL_DEFAULT,)
    initial_cluster: str = INITIAL_CLUSTER_DEFAULT
    initial_cluster_state: str = "new"
    initial_cluster_token: str = "etcd-cluster"
    advertise_client_urls: tuple[str, ...] = (CLIENT_URL_DEFAULT,)
    discovery: str = ""
    discovery_fallback: str = "proxy"
    discovery_proxy: str = ""
    discovery_srv: str = ""
    discovery_srv_name: str = ""
    discovery_endpoints: tuple[str, ...] = ()
    discovery_token: str = ""
    discovery_dial_timeout_seconds: float = 2.0
    discovery_request_timeout_seconds: float = 5.0
    discovery_keepalive_time_seconds: float = 2.0
    discovery_keepalive_timeout_seconds: float = 6.0
    discovery_insecure_transport: bool = True
    discovery_insecure_skip_tls_verify: bool = False
    discovery_cert: str = ""
    discovery_key: str = ""
    discovery_cacert: str = ""
    discovery_user: str = ""
    discovery_password: str = ""
    strict_reconfig_check: bool = True
    max_learners: int = 1
    pre_vote: bool = True
    auto_compaction_retention: str = "0"
    auto_compaction_mode: str = "periodic"
    enable_v2: bool = False
    enable_v2v3: str = ""
    v2_deprecation: str = "not-yet"

    # Security
    cert_file: str = ""
    key_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    client_cert_auth: bool = False
    client_crl_file: str = ""
    client_cert_allowed_hostname: str = ""
    trusted_ca_file: str = ""
    auto_tls: bool = False
    peer_cert_file: str = ""
    peer_key_file: str = ""
    peer_client_cert_file: str = ""
    peer_client_key_file: str = ""
    peer_client_cert_auth: bool = False
    peer_trusted_ca_file: str = ""
    peer_cert_allowed_cn: str = ""
    peer_cert_allowed_hostname: str = ""
    peer_auto_tls: bool = False
    peer_crl_file: str = ""
    peer_skip_client_san_verification: bool = False
    self_signed_cert_validity_years: int = 1
    cipher_suites: tuple[str, ...] = ()
    tls_min_version: str = "TLS1.2"
    tls_max_version: str = ""
    cors: tuple[str, ...] = ("*",)
    host_whitelist: tuple[str, ...] = ("*",)

    # Auth
    auth_token: str = "simple"
    bcrypt_cost: int = 10
    auth_token_ttl_seconds: int = 300

    # Profiling, monitoring, logging, tracing
    enable_pprof: bool = False
    metrics: str = "basic"
    listen_metrics_urls: tuple[str, ...] = ()
    logger: str = "zap"
    log_outputs: tuple[str, ...] = ("default",)
    log_level: str = "info"
    log_format: str = "json"
    enable_log_rotation: bool = False
    log_rotation_config_json: str = LOG_ROTATION_DEFAULT
    enable_distributed_tracing: bool = False
    distributed_tracing_address: str = "localhost:4317"
    distributed_tracing_service_name: str = "etcd"
    distributed_tracing_instance_id: str = ""
    distributed_tracing_sampling_rate: int = 0

    # v2 proxy
    proxy: str = "off"
    proxy_failure_wait_ms: int = 5_000
    proxy_refresh_interval_ms: int = 30_000
    proxy_dial_timeout_ms: int = 1_000
    proxy_write_timeout_ms: int = 5_000
    proxy_read_timeout_ms: int = 0

    # Experimental in 3.5
    initial_corrupt_check: bool = False
    corrupt_check_time_seconds: float = 0.0
    compact_hash_check_enabled: bool = False
    compact_hash_check_time_seconds: float = 60.0
    enable_lease_checkpoint: bool = False
    enable_lease_checkpoint_persist: bool = False
    compaction_batch_limit: int = 1_000
    compaction_sleep_interval_seconds: float = 0.01
    watch_progress_notify_interval_seconds: float = 600.0
    downgrade_check_time_seconds: float = 5.0
    warning_apply_duration_seconds: float = 0.1
    warning_unary_request_duration_seconds: float = 0.3
    txn_mode_write_with_shared_buffer: bool = True
    bootstrap_defrag_threshold_megabytes: int = 0
    memory_mlock: bool = False
    stop_grpc_service_on_defrag: bool = False
    feature_gates: str = ""

    # Unsafe
    force_new_cluster: bool = False
    unsafe_no_fsync: bool = False

    @property
    def data_path(self) -> Path:
        return Path(self.data_dir or f"{self.name}.etcd")

    @property
    def member_path(self) -> Path:
        return self.data_path / "member"

    @property
    def snap_path(self) -> Path:
        return self.member_path / "snap"

    @property
    def wal_path(self) -> Path:
        return Path(self.wal_dir) if self.wal_dir else self.member_path / "wal"

    @property
    def has_wal(self) -> bool:
        """Whether the member was here before: then its log says who it is, not the initial-* flags."""
        try:
            return any(name.endswith(".wal") for name in os.listdir(self.wal_path))
        except (FileNotFoundError, NotADirectoryError):
            return False

    @property
    def has_discovery_service(self) -> bool:
        """Whether the other members are to be found through a service where all of them register."""
        return bool(self.discovery or self.discovery_endpoints)

    @property
    def is_discovered(self) -> bool:
        """Whether --initial-cluster does not say who the members are."""
        return self.has_discovery_service or bool(self.discovery_srv)

    @property
    def cluster_token(self) -> str:
        """What keeps the ids of this cluster's members apart from those of others."""
        return self.discovery or self.discovery_token or self.initial_cluster_token

    @property
    def election_ticks(self) -> int:
        return self.election_timeout_ms // self.heartbeat_interval_ms

    @property
    def tick_seconds(self) -> float:
        return self.heartbeat_interval_ms / 1_000

    @property
    def raft_read_seconds(self) -> float:
        """Return how long a connection to a peer may be silent. Less than 5 s is not to be had, as in etcd."""
        return max(self.raft_read_timeout_seconds, RAFT_TIMEOUT_SECONDS_MIN)

    @property
    def raft_write_seconds(self) -> float:
        """Return how long a peer may take to accept what we write."""
        return max(self.raft_write_timeout_seconds, RAFT_TIMEOUT_SECONDS_MIN)

    @property
    def request_timeout_seconds(self) -> float:
        """Return how long a request may take: 5 s, and two elections. Upstream: ServerConfig.ReqTimeout."""
        return REQUEST_SECONDS_BASE + 2 * self.election_timeout_ms / 1_000

    @property
    def quota_bytes(self) -> int:
        """Return the quota to enforce; 0 means none."""
        if self.quota_backend_bytes == 0:
            return QUOTA_BACKEND_BYTES_DEFAULT
        return max(self.quota_backend_bytes, 0)

    @property
    def batch_interval_seconds(self) -> float:
        return self.backend_batch_interval_seconds or BACKEND_BATCH_INTERVAL_SECONDS_DEFAULT

    @property
    def batch_limit(self) -> int:
        return self.backend_batch_limit or BACKEND_BATCH_LIMIT_DEFAULT
