"""From what was given to a Config: defaults, precedence, and what one setting implies for another.

    file         the file alone, if --config-file or ETCD_CONFIG_FILE names one
    otherwise    command line, then ETCD_* variables, then defaults

What implies what:
  * listen-client-urls without advertise-client-urls leaves the latter empty, which `validate` refuses (not for a file);
  * discovery of any kind without initial-cluster leaves the latter empty;
  * a name alone is a cluster of that name (see `with_default_cluster`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from etcdpy.embed.config import (
    CLIENT_URL_DEFAULT,
    INITIAL_CLUSTER_DEFAULT,
    NAME_DEFAULT,
    PEER_URL_DEFAULT,
    Config,
)
from etcdpy.embed.default_host import find_default_host
from etcdpy.embed.flag_table import BY_NAME, COMMAND_FLAGS
from etcdpy.embed.flags import ParsedFlags
from etcdpy.embed.urls import Url, parse_url


def config_of_flags(parsed: ParsedFlags) -> Config:
    """Return the settings of the command line and the variables."""
    config = _config_of(parsed)
    given = parsed.values
    if "listen-client-urls" in given and "advertise-client-urls" not in given:
        config = dataclasses.replace(config, advertise_client_urls=())
    has_discovery = config.has_discovery_service or bool(config.discovery_srv or config.discovery_srv_name)
    if has_discovery and "initial-cluster" not in given:
        config = dataclasses.replace(config, initial_cluster="")
    return config


def config_of_file(parsed: ParsedFlags) -> Config:
    """Return the settings of a file."""
    config = _config_of(parsed)
    has_discovery = config.has_discovery_service or bool(config.discovery_srv)
    if has_discovery and config.initial_cluster == INITIAL_CLUSTER_DEFAULT:
        config = dataclasses.replace(config, initial_cluster="")
    if not config.initial_cluster_state:
        config = dataclasses.replace(config, initial_cluster_state="new")
    return config


def _config_of(parsed: ParsedFlags) -> Config:
    # Names of 3.5 first, so that those of 3.6, which have lost a prefix, win.
    names = sorted(parsed.values, key=lambda name: (not name.startswith("experimental-"), name))
    changes: dict[str, Any] = {
        BY_NAME[name].config_field: parsed.values[name] for name in names if name not in COMMAND_FLAGS
    }
    return dataclasses.replace(Config(), **changes)


def with_default_cluster(config: Config) -> tuple[Config, str]:
    """Fill in what the defaults leave open; return also the host put in for 0.0.0.0, if any.

    Who listens on 0.0.0.0 and advertises the default localhost would send everybody to themselves; the address of the
    default route is advertised instead. Upstream: Config.UpdateDefaultClusterFromName.
    """
    changes: dict[str, Any] = {}
    host = find_default_host()
    peer, client = parse_url(config.listen_peer_urls[0]), parse_url(config.listen_client_urls[0])
    if host and config.initial_advertise_peer_urls == (PEER_URL_DEFAULT,) and _is_everywhere(peer):
        changes["initial_advertise_peer_urls"] = (f"{peer.scheme}://{host}:{peer.port}",)
    if config.initial_cluster == INITIAL_CLUSTER_DEFAULT and config.name != NAME_DEFAULT:
        urls = changes.get("initial_advertise_peer_urls", config.initial_advertise_peer_urls)
        # Without a name it is still the default's cluster, in which nobody will then find themselves.
        changes["initial_cluster"] = ",".join(f"{config.name or NAME_DEFAULT}={url}" for url in urls)
    if host and config.advertise_client_urls == (CLIENT_URL_DEFAULT,) and _is_everywhere(client):
        changes["advertise_client_urls"] = (f"{client.scheme}://{host}:{client.port}",)
    used = host if {"initial_advertise_peer_urls", "advertise_client_urls"} & set(changes) else ""
    return dataclasses.replace(config, **changes), used


def _is_everywhere(url: Url) -> bool:
    return url.host.startswith("0.0.0.0:")
