"""Who a member is going to be. Against real clusters: tests/compat/test_bootstrap_real.py."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etcdpy.base.ids import compute_member_id
from etcdpy.base.log import silent_logger
from etcdpy.embed.bootstrap import decide_identity
from etcdpy.embed.config import Config
from etcdpy.embed.errors import DiscoveryFailed, StartError
from etcdpy.server.bootstrap import Folders, Identity, recover
from tests.unit.server.web import Page, serving_pages

OWN = "http://127.0.0.1:1"


def make_config(directory: Path, **settings: Any) -> Config:
    return Config(
        **{
            "name": "own",
            "data_dir": str(directory),
            "initial_advertise_peer_urls": (OWN,),
            "initial_cluster": f"own={OWN}",
            **settings,
        }
    )


def decide(config: Config) -> Identity:
    return asyncio.run(decide_identity(config, silent_logger()))


def decide_with(
    pages: Callable[[str], dict[str, Page]], configure: Callable[[str], Config], log_requests: list[str] | None = None
) -> Identity:
    """Decide with a peer that serves `pages`; both are told its URL."""

    async def run() -> Identity:
        served: dict[str, Page] = {}
        async with serving_pages(served) as web:
            served.update(pages(web.url))
            try:
                return await decide_identity(configure(web.url), silent_logger())
            finally:
                if log_requests is not None:
                    log_requests.extend(web.requests)

    return asyncio.run(run())


def members_page(*records: dict[str, Any]) -> Page:
    return Page(json.dumps(records), headers={"X-Etcd-Cluster-ID": "abc"})


def test_a_founder_is_among_those_of_the_flag(tmp_path: Path) -> None:
    identity = decide(make_config(tmp_path, initial_cluster=f"own={OWN},other=http://127.0.0.1:2"))

    assert identity.initial_cluster == {"own": (OWN,), "other": ("http://127.0.0.1:2",)}
    assert (identity.is_founder, identity.joining) == (True, None)


def test_a_founder_that_has_served_already_must_not_found(tmp_path: Path) -> None:
    member_id = compute_member_id([OWN], "etcd-cluster")
    known = {"id": member_id, "peerURLs": [OWN], "name": "own", "clientURLs": ["http://c:1"]}

    with pytest.raises(StartError, match=f"^member {member_id:x} has already been bootstrapped$"):
        decide_with(
            lambda _: {"/members": members_page(known)},
            lambda url: make_config(tmp_path, initial_cluster=f"own={OWN},other={url}"),
        )


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"name": "x"}, 'couldn\'t find local name "x"'),
        ({"initial_cluster": f"own={OWN},b={OWN}"}, "has duplicate url"),
        ({"initial_advertise_peer_urls": ("http://127.0.0.1:9",)}, "missing from"),
        ({"initial_cluster": "own=x"}, "error setting up initial cluster"),
        ({"initial_cluster_state": "existing"}, "could not retrieve cluster information from the given URLs"),
        (
            {"initial_cluster": "", "discovery": "http://127.0.0.1:1/t", "initial_cluster_state": "existing"},
            "discovery URL should not be set when joining existing initial cluster",
        ),
    ],
)
def test_clusters_that_cannot_be(tmp_path: Path, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(StartError, match=text):
        decide(make_config(tmp_path, **settings))


def test_who_joins_gets_its_place(tmp_path: Path) -> None:
    identity = decide_with(
        lambda url: {
            "/members": members_page({"id": 7, "peerURLs": [OWN]}, {"id": 5, "peerURLs": [url]}),
            "/version": Page('{"etcdserver":"3.5.1","etcdcluster":"3.5.0"}'),
            "/downgrade/enabled": Page("false"),
        },
        # What it advertises was told to the cluster before and is not compared.
        lambda url: make_config(
            tmp_path,
            initial_cluster=f"own={OWN},other={url}",
            initial_cluster_state="existing",
            initial_advertise_peer_urls=("http://127.0.0.1:3",),
        ),
    )

    assert identity.joining is not None and not identity.is_founder
    assert (identity.joining.member_id, identity.joining.cluster_id) == (7, 0xABC)


def token_pages(size: str, *values: str) -> dict[str, Page]:
    nodes = [{"key": f"/t/{value}", "value": value, "createdIndex": 1} for value in values]
    return {
        "/t/_config/size?quorum=false": Page(json.dumps({"node": {"key": "/t/_config/size", "value": size}})),
        "/t?quorum=false&recursive=false&sorted=false": Page(json.dumps({"node": {"key": "/t", "nodes": nodes}})),
    }


def test_ids_of_a_discovered_member_are_computed_with_its_token(tmp_path: Path) -> None:
    requests: list[str] = []
    tokens: list[str] = []

    def configure(url: str) -> Config:
        tokens.append(f"{url}/t")
        return make_config(tmp_path, initial_cluster="", discovery=tokens[0])

    with pytest.raises(DiscoveryFailed, match="bad discovery endpoint"):  # the PUT is answered with 404
        decide_with(lambda _: token_pages("2"), configure, requests)
    assert requests[-1].startswith(f"PUT /t/{compute_member_id([OWN], tokens[0]):x}?")


def test_a_full_cluster(tmp_path: Path) -> None:
    with pytest.raises(DiscoveryFailed, match="cluster is full"):
        decide_with(
            lambda _: token_pages("1", "other"),
            lambda url: make_config(tmp_path, initial_cluster="", discovery=f"{url}/t"),
        )


def test_a_log_says_who_its_member_is(tmp_path: Path) -> None:
    """Nobody is asked, and flags that would be refused are not looked at."""
    config = make_config(tmp_path)
    folders = Folders(member=config.member_path, wal=config.wal_path)
    recover(folders, decide(config)).wal.close()

    for settings in (
        {"initial_cluster": "nonsense"},
        {"initial_cluster": "other=http://127.0.0.1:2"},
        {"initial_cluster": "", "discovery": "http://127.0.0.1:1/t"},
        {"initial_cluster": "", "discovery_srv": "nobody.invalid"},
        {"initial_cluster_state": "existing"},
    ):
        identity = decide(dataclasses.replace(config, **settings))  # type: ignore[arg-type]
        assert not identity.is_founder
    assert decide(config).is_founder
