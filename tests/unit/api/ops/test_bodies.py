"""Bodies of requests."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from etcdpy.api.ops.app import application
from etcdpy.api.ops.bodies import PEER_BODY_BYTES_MAX, read_body
from tests.unit.api.ops.asgi import call


async def echo(request: Request) -> Response:
    body = await read_body(request)
    return Response("too long" if body is None else body)


APP = application([Route("/", echo, methods=["POST"])])


def test_up_to_the_limit() -> None:
    longest = b"x" * PEER_BODY_BYTES_MAX

    assert call(APP, "/", method="POST").body == ""
    assert call(APP, "/", method="POST", body=longest).body.encode() == longest
    assert call(APP, "/", method="POST", body=longest + b"x").body == "too long"
