"""What is sent to the leader, and what is made of strange answers. The leader is a real HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from etcdpy.base.errors import Timeout
from etcdpy.pb import lease_pb2
from etcdpy.pb.rpc_pb2 import LeaseKeepAliveResponse, LeaseTimeToLiveRequest
from etcdpy.server.lease_forwarding import LeaseForwarding
from etcdpy.transport.http1 import HttpServer
from etcdpy.transport.peer_http import fetch
from tests.unit.server.spine import run
from tests.unit.server.test_renewals import BRIEF_SECONDS, LONG_SECONDS, View

RENEWED = LeaseKeepAliveResponse(ID=7, TTL=60).SerializeToString()


class Leader:
    """A server that answers with what the test gives it, then as it should."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, str, str, bytes]] = []

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        self.requests.append((request.method, request.url.path, request.headers["content-type"], body))
        return self.answers.pop(0) if self.answers else Response(RENEWED)


def play(leader: Leader, act: Callable[[LeaseForwarding], object], timeout_seconds: float = LONG_SECONDS) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        http = HttpServer(Starlette(routes=[Route("/{path:path}", leader.answer, methods=["POST"])]), loop=loop)
        server = await loop.create_server(http.connection, "127.0.0.1", 0)
        view = View()
        view.urls = [f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"]
        try:
            await act(LeaseForwarding(view, fetch, clock=loop.time, timeout_seconds=timeout_seconds))  # type: ignore[misc]
        finally:
            server.close()
            http.abort()
            await server.wait_closed()

    run(scenario())


def test_what_is_sent() -> None:
    leader = Leader(
        Response(RENEWED),
        Response(
            lease_pb2.LeaseInternalResponse(LeaseTimeToLiveResponse={"ID": 7, "TTL": 5}).SerializeToString()  # type: ignore[arg-type]
        ),
    )

    async def act(forwarding: LeaseForwarding) -> None:
        assert await forwarding.renew(7) == 60
        assert (await forwarding.time_to_live(LeaseTimeToLiveRequest(ID=7, keys=True))).TTL == 5

    play(leader, act)
    assert leader.requests == [
        ("POST", "/leases", "application/protobuf", b"\x08\x07"),
        ("POST", "/leases/internal", "application/protobuf", b"\x0a\x04\x08\x07\x10\x01"),
    ]


@pytest.mark.parametrize(
    "strange",
    [
        Response("404 page not found\n", 404),
        Response("lease not found\n", 400),
        Response("", 503),
        Response(b"\xff\xff"),
        Response(LeaseKeepAliveResponse(ID=8, TTL=60).SerializeToString()),
        Response("", 302, {"location": "http://127.0.0.1:1/"}),
    ],
    ids=["404 of another", "text without 404", "unavailable", "no protobuf", "another lease", "redirection"],
)
def test_strange_answers_are_none(strange: Response) -> None:
    leader = Leader(strange)

    async def act(forwarding: LeaseForwarding) -> None:
        assert await forwarding.renew(7) == 60

    play(leader, act)
    assert len(leader.requests) == 2


def test_the_time_is_over_however_often_it_answers() -> None:
    leader = Leader(*[Response("", 503)] * 1000)

    async def act(forwarding: LeaseForwarding) -> None:
        with pytest.raises(Timeout):
            await forwarding.renew(7)

    play(leader, act, BRIEF_SECONDS)
    assert 1 < len(leader.requests) < 100


def test_many_at_once() -> None:
    leader = Leader()

    async def act(forwarding: LeaseForwarding) -> None:
        assert await asyncio.gather(*(forwarding.renew(7) for _ in range(200))) == [60] * 200

    play(leader, act)
