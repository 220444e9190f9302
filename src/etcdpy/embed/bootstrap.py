"""Who a member is going to be: what its flags say, what discovery finds, and what the cluster answers.

    a log is there      it says who; nothing is asked
    new                 --initial-cluster, or discovery in one of three ways  -> a founder, unless the others know it
    existing            --initial-cluster names the others, they say the ids  -> a member with an empty log

Where the cluster's members come from

    --initial-cluster                            the flag
    --discovery-srv                              DNS, looked up before anything else
    --discovery, --discovery-endpoints           a service where members register; ids are computed with its token

Upstream: Config.PeerURLsMapAndToken, ServerConfig.VerifyBootstrap, VerifyJoinExisting, etcdserver.NewServer.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_warn
from etcdpy.embed.config import Config
from etcdpy.embed.discovery import join_discovered_cluster
from etcdpy.embed.discovery_srv import find_cluster_in_dns
from etcdpy.embed.errors import StartError
from etcdpy.embed.initial_cluster import check_members, has_duplicate_url, pairs_text, parse_initial_cluster
from etcdpy.server.bootstrap import Identity
from etcdpy.server.compatible import Ask
from etcdpy.server.founding import plan_members
from etcdpy.server.joining import JoinRefused, is_bootstrapped, join
from etcdpy.server.url_match import wait_difference
from etcdpy.transport.peer_http import fetch

Cluster = Mapping[str, tuple[str, ...]]


async def decide_identity(config: Config, log: logging.Logger, ask: Ask = fetch) -> Identity:
    """Return who the member of `config` is. Raise StartError when it may be nobody; StorageError never."""
    if config.has_wal:
        return _of_restart(config, log)
    cluster = await _described_cluster(config, log)
    if config.initial_cluster_state == "existing":
        return await _of_joining(config, cluster, log, ask)
    return await _of_founding(config, cluster, log, ask)


def _of_restart(config: Config, log: logging.Logger) -> Identity:
    """The log decides. Only where it was cut off before it did, the flags that began it finish it."""
    if config.has_discovery_service:
        text = "discovery token is ignored since cluster already initialized; valid logs are found"
        log_warn(log, text, wal_dir=str(config.wal_path))
    try:
        cluster = parse_initial_cluster(config.initial_cluster)
    except StartError:
        cluster = {}
    is_named = config.name in cluster
    return dataclasses.replace(
        _identity(config, cluster if is_named else {}),
        is_founder=config.initial_cluster_state == "new" and is_named,
    )


async def _described_cluster(config: Config, log: logging.Logger) -> Cluster:
    """Return the members as far as they are known before anybody is asked. Raise StartError."""
    if config.has_discovery_service:
        return {config.name: config.initial_advertise_peer_urls}
    if config.discovery_srv:
        return await find_cluster_in_dns(config, log)
    return parse_initial_cluster(config.initial_cluster)


async def _of_joining(config: Config, cluster: Cluster, log: logging.Logger, ask: Ask) -> Identity:
    check_members(config, cluster)
    if config.has_discovery_service:
        raise StartError("discovery URL should not be set when joining existing initial cluster")
    try:
        joining = await join(plan_members(cluster, config.cluster_token), config.name, log, ask)
    except JoinRefused as error:
        raise StartError(str(error)) from None
    return dataclasses.replace(_identity(config, cluster), joining=joining, is_founder=False)


async def _of_founding(config: Config, cluster: Cluster, log: logging.Logger, ask: Ask) -> Identity:
    difference = await wait_difference(config.initial_advertise_peer_urls, cluster.get(config.name, ()))
    check_members(config, cluster, difference)
    identity = _identity(config, cluster)
    founding = identity.founding()
    if await is_bootstrapped(founding.members, founding.member_id, ask):
        raise StartError(f"member {format_id(founding.member_id)} has already been bootstrapped")
    if not config.has_discovery_service:
        return identity
    found = await join_discovered_cluster(config, founding.member_id, log)
    if has_duplicate_url(found):
        raise StartError(f"discovery cluster {pairs_text(found)} has duplicate url")
    return _identity(config, found)


def _identity(config: Config, cluster: Cluster) -> Identity:
    return Identity(
        name=config.name,
        initial_advertise_peer_urls=config.initial_advertise_peer_urls,
        initial_cluster_token=config.cluster_token,
        initial_cluster=cluster,
    )
