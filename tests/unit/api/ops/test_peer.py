"""What the peer port says of the member over HTTP."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from etcdpy.api.ops.peer import build_peer_app
from tests.unit.api.ops.asgi import FakeMember, Reply, call

MEMBERS: list[dict[str, object]] = [
    {"id": 0xD46C78F094AE4BDA, "peerURLs": ["http://a:1"], "name": "one", "clientURLs": ["http://c:1"]}
]


def get(target: str, method: str = "GET") -> Reply:
    return call(build_peer_app(FakeMember(), "aa60e965f8e2bda6", lambda: MEMBERS), target, method=method)


def test_members_with_the_clusters_id_beside_them() -> None:
    reply = get("/members")

    assert (reply.status, json.loads(reply.body)) == (200, MEMBERS)
    assert reply.headers["x-etcd-cluster-id"] == "aa60e965f8e2bda6"
    assert reply.headers["content-type"] == "application/json"


def test_ids_beyond_what_javascript_counts_are_written_in_full() -> None:
    assert '"id":15306742208207408090' in get("/members").body


def test_the_version() -> None:
    assert json.loads(get("/version").body) == {"etcdserver": "3.5.33", "etcdcluster": "3.5.0"}


def test_a_probe_is_told_the_time() -> None:
    reply = json.loads(get("/raft/probing").body)

    assert reply["OK"] is True
    assert reply["Now"].endswith("Z") and datetime.fromisoformat(reply["Now"]).utcoffset() is not None


@pytest.mark.parametrize("path", ["/members", "/version"])
def test_only_get(path: str) -> None:
    reply = get(path, "POST")

    assert (reply.status, reply.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/", "/raft", "/raft/stream", "/members/promote/1"])
def test_what_is_not_there(path: str) -> None:
    assert get(path).status == 404
