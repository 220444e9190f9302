"""What a member says of its settings while it starts: the same messages and fields as etcd's.

Upstream: embed.StartEtcd and embed.print.
"""

from __future__ import annotations

import logging
import os
import platform
import sys

from etcdpy.base.log import Duration, log_info
from etcdpy.base.version import GIT_SHA, VERSION
from etcdpy.embed.auto_compaction import read_auto_compaction
from etcdpy.embed.config import Config


def log_listeners(log: logging.Logger, config: Config) -> None:
    log_info(log, "configuring peer listeners", listen_peer_urls=config.listen_peer_urls)
    log_info(log, "configuring client listeners", listen_client_urls=config.listen_client_urls)


def log_starting(log: logging.Logger, config: Config, *, member_initialized: bool) -> None:
    """The dump of all settings that matter, once per start."""
    log_info(
        log,
        "starting an etcd server",
        etcd_version=VERSION,
        git_sha=GIT_SHA,
        python_version=platform.python_version(),
        python_os=sys.platform,
        python_arch=platform.machine(),
        max_cpu_set=len(os.sched_getaffinity(0)),
        max_cpu_available=os.cpu_count(),
        member_initialized=member_initialized,
        **_own_settings(config),
        **_cluster_settings(config),
    )


def _own_settings(config: Config) -> dict[str, object]:
    return {
        "name": config.name,
        "data-dir": str(config.data_path),
        "wal-dir": config.wal_dir,
        "wal-dir-dedicated": config.wal_dir,
        "member-dir": str(config.member_path),
        "force-new-cluster": config.force_new_cluster,
        "heartbeat-interval": Duration(config.heartbeat_interval_ms / 1_000),
        "election-timeout": Duration(config.election_timeout_ms / 1_000),
        "initial-election-tick-advance": config.initial_election_tick_advance,
        "snapshot-count": config.snapshot_count,
        "max-wals": config.max_wals,
        "max-snapshots": config.max_snapshots,
        "snapshot-catchup-entries": config.snapshot_catchup_entries,
    }


def _cluster_settings(config: Config) -> dict[str, object]:
    compaction = read_auto_compaction(config)
    retention = compaction.period_seconds or compaction.revisions / 1e9
    return {
        "initial-advertise-peer-urls": config.initial_advertise_peer_urls,
        "listen-peer-urls": config.listen_peer_urls,
        "advertise-client-urls": config.advertise_client_urls,
        "listen-client-urls": config.listen_client_urls,
        "listen-metrics-urls": config.listen_metrics_urls,
        "cors": config.cors,
        "host-whitelist": config.host_whitelist,
        "initial-cluster": config.initial_cluster,
        "initial-cluster-state": config.initial_cluster_state,
        "initial-cluster-token": config.initial_cluster_token,
        "quota-size-bytes": config.quota_bytes,
        "pre-vote": config.pre_vote,
        "initial-corrupt-check": config.initial_corrupt_check,
        "corrupt-check-time-interval": Duration(config.corrupt_check_time_seconds),
        "compact-check-time-enabled": config.compact_hash_check_enabled,
        "compact-check-time-interval": Duration(config.compact_hash_check_time_seconds),
        "auto-compaction-mode": config.auto_compaction_mode,
        "auto-compaction-retention": Duration(retention),
        "auto-compaction-interval": Duration(retention),
        "discovery-url": config.discovery,
        "discovery-proxy": config.discovery_proxy,
        "downgrade-check-interval": Duration(config.downgrade_check_time_seconds),
    }


def log_serving(log: logging.Logger, config: Config, *, local_member_id: str) -> None:
    """The listeners are open."""
    log_info(
        log,
        "now serving peer/client/metrics",
        local_member_id=local_member_id,
        initial_advertise_peer_urls=config.initial_advertise_peer_urls,
        listen_peer_urls=config.listen_peer_urls,
        advertise_client_urls=config.advertise_client_urls,
        listen_client_urls=config.listen_client_urls,
        listen_metrics_urls=config.listen_metrics_urls,
    )


def log_closing(log: logging.Logger, config: Config) -> None:
    _log_end(log, config, "closing etcd server")


def log_closed(log: logging.Logger, config: Config) -> None:
    _log_end(log, config, "closed etcd server")


def _log_end(log: logging.Logger, config: Config, message: str) -> None:
    log_info(
        log,
        message,
        name=config.name,
        data_dir=str(config.data_path),
        advertise_peer_urls=config.initial_advertise_peer_urls,
        advertise_client_urls=config.advertise_client_urls,
    )
