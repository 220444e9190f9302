"""What is asked of a cluster before joining or founding it. Against a real one: tests/compat/test_bootstrap_real.py."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from etcdpy.base.log import silent_logger
from etcdpy.server.founding import plan_members
from etcdpy.server.joining import Joining, JoinRefused, is_bootstrapped, join
from tests.unit.server.web import Page, serving_pages

OWN_URL = "http://127.0.0.1:1"
VERSION = Page('{"etcdserver":"3.5.1","etcdcluster":"3.5.0"}')


def record(member_id: int, *urls: str, name: str = "", client_urls: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"id": member_id, "peerURLs": list(urls), "name": name, "clientURLs": list(client_urls)}


def ask_to_join(*records: dict[str, Any], cluster_id: str = "abc", body: str | None = None) -> Joining:
    """Join a cluster that tells of these members; {peer} in a URL is the one that answers."""

    async def run() -> Joining:
        pages = {"/version": VERSION, "/downgrade/enabled": Page("false")}
        async with serving_pages(pages) as web:
            text = json.dumps(records).replace("{peer}", web.url) if body is None else body
            pages["/members"] = Page(text, headers={"X-Etcd-Cluster-ID": cluster_id})
            members = plan_members({"peer": (web.url,), "own": (OWN_URL,)}, "t")
            return await join(members, "own", silent_logger())

    return asyncio.run(run())


def test_ids_come_from_the_cluster() -> None:
    joining = ask_to_join(record(7, OWN_URL), record(5, "{peer}", name="p", client_urls=("http://c:1",)))

    assert (joining.member_id, joining.cluster_id) == (7, 0xABC)
    assert [(member.id, member.name) for member in joining.members] == [(5, "peer"), (7, "own")]
    assert [(member.id, member.name) for member in joining.remotes] == [(5, "p"), (7, "")]


@pytest.mark.parametrize(
    ("records", "text"),
    [
        ([record(5, "{peer}")], "member count is unequal"),
        ([record(5, "{peer}"), record(6, "http://x:1")], "no match found for existing member"),
        ([record(5, "{peer}"), record(6, "{peer}")], "member count is unequal"),
        ([], "cannot fetch cluster info from peer urls: failed to get raft cluster member"),
    ],
)
def test_another_cluster_than_was_described(records: list[dict[str, Any]], text: str) -> None:
    with pytest.raises(JoinRefused, match=text):
        ask_to_join(*records)


@pytest.mark.parametrize("body", ["", "{", "{}", "[1]", '[{"id":"x"}]', '[{"peerURLs":[]}]', "null", "[null]"])
def test_a_body_that_is_no_list_of_members(body: str) -> None:
    with pytest.raises(JoinRefused, match="cannot fetch cluster info from peer urls: could not retrieve"):
        ask_to_join(body=body)


@pytest.mark.parametrize("cluster_id", ["", "xyz"])
def test_a_cluster_without_an_id(cluster_id: str) -> None:
    with pytest.raises(JoinRefused, match="could not retrieve cluster information from the given URLs"):
        ask_to_join(record(7, OWN_URL), record(5, "{peer}"), cluster_id=cluster_id)


def test_the_text_shows_the_cluster_as_go_prints_it() -> None:
    with pytest.raises(JoinRefused) as caught:
        ask_to_join(record(10, "http://x:1", "http://w:1", name="n", client_urls=("http://c:1", "http://d:1")))
    assert str(caught.value) == (
        "error validating peerURLs {ClusterID:abc Members:[&{ID:a RaftAttributes:{PeerURLs:[http://x:1 http://w:1] "
        "IsLearner:false} Attributes:{Name:n ClientURLs:[http://c:1 http://d:1]}}] RemovedMemberIDs:[]}: "
        "member count is unequal"
    )


def test_a_cluster_of_another_version() -> None:
    async def run() -> None:
        pages = {"/version": Page('{"etcdserver":"3.6.1","etcdcluster":"3.6.0"}'), "/downgrade/enabled": Page("false")}
        async with serving_pages(pages) as web:
            body = json.dumps([record(7, OWN_URL), record(5, web.url)])
            pages["/members"] = Page(body, headers={"X-Etcd-Cluster-ID": "abc"})
            await join(plan_members({"peer": (web.url,), "own": (OWN_URL,)}, "t"), "own", silent_logger())

    with pytest.raises(JoinRefused, match=r"^incompatible with current running cluster$"):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("is_known", "client_urls", "expected"), [(True, ("http://c:1",), True), (True, (), False), (False, (), False)]
)
def test_whether_the_others_know_a_founder(is_known: bool, client_urls: tuple[str, ...], expected: bool) -> None:
    async def run() -> bool:
        pages: dict[str, Page] = {}
        async with serving_pages(pages) as web:
            # The first peer is not there yet.
            members = plan_members({"gone": ("http://127.0.0.1:1",), "peer": (web.url,), "own": (OWN_URL + "1",)}, "t")
            own_id = next(member.id for member in members if member.name == "own")
            known = record(own_id if is_known else 8, OWN_URL + "1", client_urls=client_urls)
            pages["/members"] = Page(json.dumps([known]), headers={"X-Etcd-Cluster-ID": "abc"})
            return await is_bootstrapped(members, own_id)

    assert asyncio.run(run()) is expected
