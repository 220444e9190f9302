"""Where the gateway stands in the application."""

from __future__ import annotations

import logging

from etcdpy.api.gateway.mount import gateway_routes
from etcdpy.api.ops.app import build_ops_app
from etcdpy.api.v3.local import LocalMethods
from tests.unit.api.ops.asgi import FakeMember, call


def test_its_paths_are_below_its_prefixes_only() -> None:
    routes = gateway_routes(LocalMethods({}), message_bytes_max=100)
    app = build_ops_app(FakeMember(), logging.getLogger("test"), more_routes=routes)

    assert call(app, "/v3/x", method="POST").body == "Not Found\n"
    assert call(app, "/v3beta/", method="POST").body == "Not Found\n"
    assert call(app, "/v3alpha/kv/put", method="POST").body == "404 page not found\n"
    assert call(app, "/version").status == 200
    moved = call(app, "/v3", method="POST")
    assert (moved.status, moved.headers["location"], moved.body) == (301, "/v3/", "")
