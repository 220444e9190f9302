"""--initial-cluster: which members found the cluster, and whether this one is among them as it says of itself.

    m1=http://10.0.0.1:2380,m2=http://10.0.0.2:2380,m2=http://10.0.0.2:2381

The check matters at the first start only; later the log says who the members are.

Upstream: types.NewURLsMap, ServerConfig.VerifyBootstrap and advertiseMatchesCluster.
"""

from __future__ import annotations

from collections.abc import Mapping

from etcdpy.embed.config import Config
from etcdpy.embed.errors import StartError
from etcdpy.embed.urls import UrlError, parse_urls
from etcdpy.server.url_match import find_difference


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
    """Return the members that --initial-cluster describes. Raise StartError unless this one is among them."""
    members = parse_initial_cluster(config.initial_cluster)
    check_members(config, members)
    return members


def check_members(config: Config, members: Mapping[str, tuple[str, ...]], difference: str | None = None) -> None:
    """Raise StartError unless these members are a cluster that this one may found or, if it exists, join.

    `difference` says in which respect its URLs differ from those it advertises; by default their texts are compared.
    """
    if config.name not in members:
        raise StartError(f'couldn\'t find local name "{config.name}" in the initial cluster configuration')
    if config.initial_cluster_state == "new":
        _check_advertised(config, members[config.name], difference)
    if has_duplicate_url(members):
        raise StartError(f"initial cluster {pairs_text(members)} has duplicate url")


def has_duplicate_url(members: Mapping[str, tuple[str, ...]]) -> bool:
    everything = [url for urls in members.values() for url in urls]
    return len(set(everything)) != len(everything)


def pairs_text(members: Mapping[str, tuple[str, ...]]) -> str:
    """Return the members as --initial-cluster takes them."""
    return ",".join(sorted(f"{name}={url}" for name, urls in members.items() for url in urls))


def _check_advertised(config: Config, urls: tuple[str, ...], difference: str | None) -> None:
    advertised = tuple(sorted(config.initial_advertise_peer_urls))
    if difference is None:
        difference = find_difference(advertised, urls)
    if not difference:
        return
    missing = [f"{config.name}={url}" for url in urls if url not in advertised]
    if missing:
        raise StartError(
            f"--initial-cluster has {','.join(missing)} but missing from "
            f"--initial-advertise-peer-urls={','.join(advertised)} ({difference})"
        )
    extra = ",".join(url for url in advertised if url not in urls)
    # etcd shows what the flag would have to be, not what it is.
    wanted = ",".join(f"{config.name}={url}" for url in advertised)
    raise StartError(f"--initial-advertise-peer-urls has {extra} but missing from --initial-cluster={wanted}")
