"""Promotions, hashes and downgrades at the peer port. Statuses and texts are those of a running 3.5.1."""

from __future__ import annotations

import json

import pytest

from etcdpy.api.ops.app import application
from etcdpy.api.ops.peer_members import MemberRecords, PeerQuestions, member_routes
from etcdpy.base.errors import (
    Compacted,
    EtcdError,
    FutureRev,
    LearnerNotReady,
    MemberNotFound,
    MemberNotLearner,
    NoLeader,
    Timeout,
)
from etcdpy.base.log import silent_logger
from etcdpy.state.mvcc.hash_kv import KvHash
from tests.unit.api.ops.asgi import Reply, call

MEMBERS: list[dict[str, object]] = [{"id": 0xD46C78F094AE4BDA, "peerURLs": ["http://a:1"]}]
PROMOTED_404 = "membership: ID not found\n"


class Member:
    """A member that does what the test says."""

    def __init__(self, error: EtcdError | None = None, *, is_downgrading: bool = False, hash_value: int = 77) -> None:
        self.error = error
        self.downgrading = is_downgrading
        self.hash_value = hash_value
        self.asked: list[int] = []

    async def promote(self, member_id: int) -> MemberRecords:
        self.answer(member_id)
        return MEMBERS

    async def hash_kv(self, revision: int) -> KvHash:
        self.answer(revision)
        return KvHash(hash=self.hash_value, hash_revision=revision, compact_revision=-1, revision=9)

    async def is_downgrading(self) -> bool:
        self.answer(0)
        return self.downgrading

    def answer(self, number: int) -> None:
        self.asked.append(number)
        if self.error is not None:
            raise self.error

    def ask(self, target: str, method: str = "GET", body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        questions = PeerQuestions(
            cluster_id=0xAB,
            member_id=5,
            term=lambda: 3,
            promote=self.promote,
            hash_kv=self.hash_kv,
            is_downgrading=self.is_downgrading,
        )
        app = application(member_routes(questions, silent_logger()))
        return call(app, target, method=method, body=body, headers=headers)


# -- promotions


def test_a_promotion_answers_with_the_members() -> None:
    member = Member()
    reply = member.ask("/members/promote/14694312064908870332", "POST")

    assert (reply.status, json.loads(reply.body), member.asked) == (200, MEMBERS, [14694312064908870332])
    assert (reply.headers["content-type"], reply.headers["x-etcd-cluster-id"]) == ("application/json", "ab")


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (MemberNotFound(), 404, PROMOTED_404),
        (MemberNotLearner(), 412, "membership: can only promote a learner member\n"),
        (
            LearnerNotReady(),
            412,
            "etcdserver: can only promote a learner member which is in sync with leader\n",
        ),
        (Timeout(), 408, "etcdserver: request timed out\n"),
        (NoLeader(), 500, '{"message":"Internal Server Error"}'),
    ],
)
def test_refused_promotions(error: EtcdError, status: int, body: str) -> None:
    reply = Member(error).ask("/members/promote/7", "POST")

    assert (reply.status, reply.body, reply.headers["x-etcd-cluster-id"]) == (status, body, "ab")


@pytest.mark.parametrize("text", ["abc", "", "0x10", "-1", "18446744073709551616", "1" * 5000, "1/2"])
def test_what_is_no_id(text: str) -> None:
    member = Member()
    reply = member.ask(f"/members/promote/{text}", "POST")

    assert (reply.status, reply.body) == (404, f"member {text} not found in cluster\n")
    assert member.asked == []


def test_only_post_promotes() -> None:
    reply = Member().ask("/members/promote/7")

    assert (reply.status, reply.headers["allow"]) == (405, "POST")


def test_without_the_slash_it_is_somewhere_else() -> None:
    reply = Member().ask("/members/promote", "POST")
    assert (reply.status, reply.headers["location"], reply.body) == (301, "/members/promote/", "")
    assert Member().ask("/members/promote").body == '<a href="/members/promote/">Moved Permanently</a>.\n\n'
    assert Member().ask("/members/promote", "HEAD").body == ""


# -- hashes


def test_a_hash() -> None:
    member = Member()
    reply = member.ask("/members/hashkv", body=b'{"revision":4}')

    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.headers["x-etcd-cluster-id"] == "ab"
    assert reply.body == (
        '{"header":{"cluster_id":171,"member_id":5,"revision":9,"raft_term":3},"hash":77,"compact_revision":-1}'
    )
    assert member.asked == [4]


def test_zeros_are_left_out() -> None:
    assert "hash" not in json.loads(Member(hash_value=0).ask("/members/hashkv", body=b"{}").body)


@pytest.mark.parametrize(
    ("body", "revision"),
    [
        (b"{}", 0),
        (b"null", 0),
        (b'{"Revision":4,"x":1}', 4),
        (b'{"revision":-4}', -4),
        (b'{"revision":null}', 0),
        (b'{"revision":9223372036854775807}', (1 << 63) - 1),
    ],
)
def test_revisions_as_go_reads_them(body: bytes, revision: int) -> None:
    member = Member()
    member.ask("/members/hashkv", body=body)

    assert member.asked == [revision]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"[]",
        b"4",
        b'{"revision":"4"}',
        b'{"revision":4.5}',
        b'{"revision":true}',
        b'{"revision":9223372036854775808}',
        b"[" * 60_000,
    ],
    ids=lambda body: body[:30].decode(),
)
def test_what_is_no_revision(body: bytes) -> None:
    reply = Member().ask("/members/hashkv", body=body)

    assert (reply.status, reply.body) == (400, "error unmarshalling request\n")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Compacted(), "mvcc: required revision has been compacted\n"),
        (FutureRev(), "mvcc: required revision is a future revision\n"),
    ],
)
def test_revisions_that_are_not_there(error: EtcdError, text: str) -> None:
    reply = Member(error).ask("/members/hashkv", body=b'{"revision":4}')

    assert (reply.status, reply.body) == (400, text)


def test_another_cluster_is_told_nothing() -> None:
    member = Member()
    stranger = member.ask("/members/hashkv", body=b"{}", headers={"X-Etcd-Cluster-ID": "cd"})

    assert (stranger.status, stranger.body, member.asked) == (412, "cluster ID mismatch\n", [])
    assert member.ask("/members/hashkv", body=b"{}", headers={"X-Etcd-Cluster-ID": "ab"}).status == 200


def test_a_hash_is_got_and_is_short() -> None:
    assert Member().ask("/members/hashkv", "POST", b"{}").headers["allow"] == "GET"
    assert Member().ask("/members/hashkv", body=b" " * 70_000).body == "error reading body\n"


# -- downgrades


def test_whether_a_downgrade_is_on() -> None:
    reply = Member().ask("/downgrade/enabled")

    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, "false", "text/plain")
    assert reply.headers["x-etcd-cluster-id"] == "ab"
    assert Member(is_downgrading=True).ask("/downgrade/enabled").body == "true"
    assert Member().ask("/downgrade/enabled", "POST").headers["allow"] == "GET"
    assert Member(NoLeader()).ask("/downgrade/enabled").status == 500
