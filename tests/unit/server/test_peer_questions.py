"""What this member asks the others. They are real HTTP servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from etcdpy.base.errors import (
    ClusterIDMismatch,
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
from etcdpy.server.peer_questions import HashAnswer, PeerFailed, PeerHashes, PeerVersions, PromotionForwarding
from etcdpy.state.members import Member
from etcdpy.transport.http1 import HttpServer
from etcdpy.transport.peer_http import fetch
from tests.unit.server.spine import run
from tests.unit.server.test_renewals import BRIEF_SECONDS, LONG_SECONDS, View

NOBODY_THERE = "http://127.0.0.1:1"
HASH_BODY = b'{"header":{"revision":5},"hash":3266198287,"compact_revision":-1}'
HASH = HashAnswer(hash=3266198287, compact_revision=-1, revision=5)


class Peer:
    """A member that always gives the same answer."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []

    async def handle(self, request: Request) -> Response:
        self.requests.append((request.method, request.url.path, dict(request.headers), await request.body()))
        return self.answer

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        http = HttpServer(Starlette(routes=[Route("/{path:path}", self.handle, methods=["GET", "POST"])]), loop=loop)
        server = await loop.create_server(http.connection, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            http.abort()
            await server.wait_closed()


class Members:
    def __init__(self, *urls: tuple[str, ...]) -> None:
        self._members = [Member(id=at, peer_urls=urls_of_one) for at, urls_of_one in enumerate(urls, 1)]

    def get_members(self) -> list[Member]:
        return self._members


def play(peer: Peer, act: Callable[[str], object]) -> None:
    async def scenario() -> None:
        async with peer.serve() as url:
            await act(url)  # type: ignore[misc]

    run(scenario())


# -- versions


def test_versions_of_everybody() -> None:
    peer = Peer(Response('{"etcdserver":"3.5.1","etcdcluster":"3.5.0"}'))

    async def act(url: str) -> None:
        members = Members((url,), (NOBODY_THERE, url), (NOBODY_THERE,), ()).get_members()
        versions = PeerVersions(fetch, timeout_seconds=LONG_SECONDS)

        assert await versions(members) == {1: "3.5.1", 2: "3.5.1", 3: None, 4: None}

    play(peer, act)
    assert {request[:2] for request in peer.requests} == {("GET", "/version")}


@pytest.mark.parametrize(
    "answer", [Response("", 500), Response("x"), Response("[]"), Response('{"etcdserver":3}'), Response("[" * 50_000)]
)
def test_what_is_no_version(answer: Response) -> None:
    async def act(url: str) -> None:
        versions = PeerVersions(fetch, timeout_seconds=LONG_SECONDS)

        assert await versions(Members((url,)).get_members()) == {1: None}

    play(Peer(answer), act)


# -- hashes


def hashes(*urls: tuple[str, ...]) -> PeerHashes:
    return PeerHashes(
        Members((NOBODY_THERE,), *urls),
        fetch,
        own_id=1,
        cluster_id=0xAB,
        timeout_seconds=LONG_SECONDS,
        log=silent_logger(),
    )


def test_hashes_of_everybody_else() -> None:
    peer = Peer(Response(HASH_BODY))

    async def act(url: str) -> None:
        answers = await hashes((url,), (NOBODY_THERE, url), (NOBODY_THERE,), ()).ask(5)

        assert [(answer.member_id, answer.answer) for answer in answers] == [(2, HASH), (3, HASH), (4, None)]
        assert answers[1].endpoints == (NOBODY_THERE, url)
        assert isinstance(answers[2].error, OSError)

    play(peer, act)
    method, path, headers, body = peer.requests[0]
    assert (method, path, body) == ("GET", "/members/hashkv", b'{"revision":5}')
    assert (headers["content-type"], headers["x-etcd-cluster-id"]) == ("application/json", "ab")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response("mvcc: required revision has been compacted\n", 400), Compacted),
        (Response("mvcc: required revision is a future revision\n", 400), FutureRev),
        (Response("cluster ID mismatch\n", 412), ClusterIDMismatch),
        (Response("error reading body\n", 400), PeerFailed),
        (Response("404 page not found\n", 404), PeerFailed),
        (Response("x"), PeerFailed),
        (Response("[]"), PeerFailed),
        (Response('{"hash":"77"}'), PeerFailed),
        (Response('{"hash":7,"header":{"revision":1.5}}'), PeerFailed),
        (Response('{"hash":true}'), PeerFailed),
    ],
)
def test_why_there_is_no_hash(answer: Response, error: type[Exception]) -> None:
    async def act(url: str) -> None:
        (found,) = await hashes((url,)).ask(5)

        assert found.answer is None and type(found.error) is error

    play(Peer(answer), act)


def test_a_zero_hash_is_one() -> None:
    async def act(url: str) -> None:
        (found,) = await hashes((url,)).ask(5)

        assert found.answer == HashAnswer(hash=0, compact_revision=0, revision=0)

    play(Peer(Response('{"header":{}}')), act)


# -- promotions


def promote(url: str, timeout_seconds: float = LONG_SECONDS) -> PromotionForwarding:
    view = View()
    view.urls = [url] if url else []
    loop = asyncio.get_running_loop()
    return PromotionForwarding(view, fetch, clock=loop.time, timeout_seconds=timeout_seconds)


def test_the_leader_promotes() -> None:
    members = (Member(id=14694312064908870332, peer_urls=("http://a:1",), is_learner=True),)
    peer = Peer(Response(f"[{members[0].to_json()}]\n"))

    async def act(url: str) -> None:
        assert await promote(url)(14694312064908870332) == members

    play(peer, act)
    assert [request[:2] for request in peer.requests] == [("POST", "/members/promote/14694312064908870332")]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response("membership: ID not found\n", 404), MemberNotFound),
        (Response("membership: can only promote a learner member\n", 412), MemberNotLearner),
        (Response(LearnerNotReady.text + "\n", 412), LearnerNotReady),
        (Response("etcdserver: request timed out\n", 408), Timeout),
    ],
)
def test_its_refusals_are_final(answer: Response, error: type[EtcdError]) -> None:
    peer = Peer(answer)

    async def act(url: str) -> None:
        with pytest.raises(error):
            await promote(url)(7)

    play(peer, act)
    assert len(peer.requests) == 1


@pytest.mark.parametrize("answer", [Response("", 500), Response("x"), Response("{}"), Response("[1]")])
def test_other_answers_are_asked_for_again_until_the_time_is_over(answer: Response) -> None:
    peer = Peer(answer)

    async def act(url: str) -> None:
        with pytest.raises(Timeout):
            await promote(url, BRIEF_SECONDS)(7)

    play(peer, act)
    assert len(peer.requests) > 1


def test_without_a_leader_nobody_promotes() -> None:
    async def scenario() -> None:
        with pytest.raises(NoLeader):
            await promote("", BRIEF_SECONDS)(7)

    run(scenario())
