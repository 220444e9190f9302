"""What the command says when discovery did not give the member a cluster, and what can be done about it.

Upstream: etcdmain.startEtcdOrProxyV2.
"""

from __future__ import annotations

import logging

from etcdpy.base.log import log_warn
from etcdpy.embed.config import Config
from etcdpy.embed.discovery import DUPLICATE_ID, DUPLICATE_NAME, FULL
from etcdpy.embed.errors import DiscoveryFailed


def log_discovery_failed(log: logging.Logger, config: Config, error: DiscoveryFailed) -> None:
    token = {"discovery-token": error.token}
    if error.reason == FULL:
        _log_full(log, config, error)
    else:
        log_warn(log, "failed to start etcd", error=error)
    if error.reason == DUPLICATE_ID:
        text = "member has been registered with discovery service"
        log_warn(log, text, name=config.name, **token, error=error.reason)
        log_warn(log, "but could not find valid cluster configuration", data_dir=config.data_dir)
        log_warn(log, "check data dir if previous bootstrap succeeded")
        log_warn(log, "or use a new discovery token if previous bootstrap failed")
        return
    if error.reason == DUPLICATE_NAME:
        text = "member with duplicated name has already been registered"
        log_warn(log, text, **token, error=error.reason)
        log_warn(log, "cURL the discovery token URL for details")
    else:
        log_warn(log, "failed to bootstrap; discovery token was already used", **token, error=error)
    log_warn(log, "do not reuse discovery token; generate a new one to bootstrap a cluster")


def _log_full(log: logging.Logger, config: Config, error: DiscoveryFailed) -> None:
    """etcd says nothing before it gives up; or it becomes a proxy, which we are not able to."""
    if config.discovery_fallback == "proxy":
        log_warn(
            log,
            "discovery cluster is full; there is no v2 proxy to fall back to, so the member ends",
            fallback_proxy=config.discovery_fallback,
            error=error,
        )
