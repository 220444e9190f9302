"""--initial-cluster: which members found the cluster, and whether this one is among them as it says of itself.

    m1=http://10.0.0.1:2380,m2=http://10.0.0.2:2380,m2=http://10.0.0.2:2381

The check matters at the first start only; later the log says who the members are.

Upstream: types.NewURLsMap, ServerConfig.VerifyBootstrap and advertiseMatchesCluster.
"""

from __future__ import annotations

import json

from etcdpy.embed.config import Config
from etcdpy.embed.errors import StartError
from etcdpy.embed.urls import UrlError, parse_urls


def parse_initial_cluster(text: str) -> dict[str, tuple[str, ...]]:
    """Return the URLs of each member by its name. Raise StartError."""
    urls: dict[str, list[str]] = {}
    for item in filter(None, text.split(",")):
        name, _, url = item.partition("=")
        urls.setdefault(name.strip(), []).append(url.strip())
    try:
        return {name: parse_urls(",".join(items)) for name, items in urls.items()}
    except UrlError as error:
        raise StartError(f"error setting up initial cluster: {error}") from None


def check_initial_cluster(config: Config) -> dict[str, tuple[str, ...]]:
    """Return the members that found the cluster. Raise StartError unless this one is among them."""
    members = parse_initial_cluster(config.initial_cluster)
    if config.name not in members:
        raise StartError(f'couldn\'t find local name "{config.name}" in the initial cluster configuration')
    _check_advertised(config, members[config.name])
    everything = [url for urls in members.values() for url in urls]
    if len(set(everything)) != len(everything):
        raise StartError(f"initial cluster {_pairs(members)} has duplicate url")
    return members


def _pairs(members: dict[str, tuple[str, ...]]) -> str:
    return ",".join(sorted(f"{name}={url}" for name, urls in members.items() for url in urls))


def _check_advertised(config: Config, urls: tuple[str, ...]) -> None:
    advertised = tuple(sorted(config.initial_advertise_peer_urls))
    if advertised == urls:
        return
    missing = [f"{config.name}={url}" for url in urls if url not in advertised]
    if missing:
        raise StartError(
            f"--initial-cluster has {','.join(missing)} but missing from "
            f"--initial-advertise-peer-urls={','.join(advertised)} ({_difference(advertised, urls)})"
        )
    extra = ",".join(url for url in advertised if url not in urls)
    # etcd shows what the flag would have to be, not what it is.
    wanted = ",".join(f"{config.name}={url}" for url in advertised)
    raise StartError(f"--initial-advertise-peer-urls has {extra} but missing from --initial-cluster={wanted}")


def _difference(advertised: tuple[str, ...], urls: tuple[str, ...]) -> str:
    if len(advertised) != len(urls):
        return f"len({_list(advertised)}) != len({_list(urls)})"
    mine, theirs = next(pair for pair in zip(advertised, urls, strict=True) if pair[0] != pair[1])
    return f"{_resolved(mine)} != {_resolved(theirs)}"


def _list(urls: tuple[str, ...]) -> str:
    return "[" + " ".join(map(json.dumps, urls)) + "]"


def _resolved(url: str) -> str:
    """We compare names, not addresses; etcd's text shows both."""
    return f"{json.dumps(url)}(resolved from {json.dumps(url)})"
