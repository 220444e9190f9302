"""What the peer port answers about this member over HTTP: its version, the members, and that it is alive.

Source: facts 4.2. Replication itself comes with clusters of several members.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from etcdpy.api.ops.app import ANY_METHOD, application
from etcdpy.api.ops.responses import json_response, only_get, version_body
from etcdpy.api.ops.source import OpsSource


def build_peer_app(source: OpsSource, cluster_id: str, members: Callable[[], Sequence[dict[str, object]]]) -> ASGIApp:
    """`members` gives each member as its JSON object."""

    async def version(request: Request) -> Response:
        return only_get(request) or json_response(version_body(source.cluster_version()))

    async def list_members(request: Request) -> Response:
        return only_get(request) or JSONResponse(list(members()), headers={"X-Etcd-Cluster-ID": cluster_id})

    async def probing(request: Request) -> Response:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        return JSONResponse({"OK": True, "Now": now})

    return application(
        [
            Route("/version", version, methods=ANY_METHOD),
            Route("/members", list_members, methods=ANY_METHOD),
            Route("/raft/probing", probing, methods=ANY_METHOD),
        ]
    )
