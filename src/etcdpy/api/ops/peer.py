"""What the peer port answers over HTTP: this member's version, the members, that it is alive, and what others add.

    build_peer_app(source, cluster_id, members, more_routes=[*lease_routes(...), *member_routes(...)])

Source: facts 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from etcdpy.api.ops.app import ANY_METHOD, application
from etcdpy.api.ops.responses import json_response, members_response, only_get, version_body
from etcdpy.api.ops.source import OpsSource


def build_peer_app(
    source: OpsSource,
    cluster_id: str,
    members: Callable[[], Sequence[dict[str, object]]],
    more_routes: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """`members` gives each member as its JSON object; `more_routes` are what else the port serves."""

    async def version(request: Request) -> Response:
        return only_get(request) or json_response(version_body(source.cluster_version()))

    async def list_members(request: Request) -> Response:
        return only_get(request) or members_response(members(), cluster_id)

    async def probing(request: Request) -> Response:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        return JSONResponse({"OK": True, "Now": now})

    return application(
        [
            Route("/version", version, methods=ANY_METHOD),
            Route("/members", list_members, methods=ANY_METHOD),
            Route("/raft/probing", probing, methods=ANY_METHOD),
            *more_routes,
        ]
    )
