"""Where the gateway stands in the application."""

from __future__ import annotations

import logging

from etcdpy.api.gateway.mount import gateway_routes
from etcdpy.api.ops.app import build_ops_app
from etcdpy.api.v3.local import LocalMethods
from tests.unit.api.gateway.asgi import FakeClient
from tests.unit.api.ops.asgi import FakeMember, call
from tests.unit.server.spine import run


def test_its_paths_are_below_its_prefixes_only() -> None:
    routes = gateway_routes(LocalMethods({}), message_bytes_max=100)
    app = build_ops_app(FakeMember(), logging.getLogger("test"), more_routes=routes)

    assert call(app, "/v3/x", method="POST").body == "Not Found\n"
    assert call(app, "/v3beta/", method="POST").body == "Not Found\n"
    assert call(app, "/v3alpha/kv/put", method="POST").body == "404 page not found\n"
    assert call(app, "/version").status == 200
    moved = call(app, "/v3", method="POST")
    assert (moved.status, moved.headers["location"], moved.body) == (301, "/v3/", "")


def test_a_foreign_host_gets_no_socket_either() -> None:
    async def scenario() -> None:
        routes = gateway_routes(LocalMethods({}), message_bytes_max=100)
        app = build_ops_app(FakeMember(), logging.getLogger("test"), hosts=("good",), more_routes=routes)
        client = FakeClient("/v3/watch", headers={"host": "evil"})
        client.scope |= {"type": "websocket", "scheme": "ws", "extensions": {"websocket.http.response": {}}}
        client.incoming.put_nowait({"type": "websocket.connect"})
        await app(client.scope, client.receive, client.send)
        assert client.sent[0]["type"] == "websocket.http.response.start"
        assert client.sent[0]["status"] == 421

    run(scenario())
