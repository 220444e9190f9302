"""HTTP and WebSocket look the same to the gateway."""

from __future__ import annotations

import pytest

from etcdpy.api.gateway.exchange import Gone, HttpExchange, WebSocketExchange
from tests.unit.api.gateway.asgi import FakeClient
from tests.unit.server.spine import run


def test_http_body_and_answer() -> None:
    async def scenario() -> None:
        client = FakeClient("/", b"one", b"two")
        client.end_body()
        exchange = HttpExchange(client.scope, client.receive, client.send)
        pieces = [await exchange.read() for _ in range(4)]
        assert pieces == [b"one", b"two", b"", None]
        assert exchange.peer == "10.0.0.1:5"
        await exchange.start(200, [(b"a", b"b")])
        await exchange.write(b"line\n")
        await exchange.finish()
        assert (client.status, client.headers, client.body) == (200, {"a": "b"}, b"line\n")

    run(scenario())


def test_who_hangs_up_is_gone() -> None:
    async def scenario() -> None:
        client = FakeClient("/")
        client.hang_up()
        with pytest.raises(Gone):
            await HttpExchange(client.scope, client.receive, client.send).read()
        client.hang_up()
        await HttpExchange(client.scope, client.receive, client.send).wait_gone()

    run(scenario())


def test_messages_of_a_socket_are_lines() -> None:
    async def scenario() -> None:
        client = FakeClient("/")
        client.scope |= {"type": "websocket", "subprotocols": ["Bearer", "tok"]}
        for message in ({"type": "websocket.connect"}, {"text": "a"}, {"bytes": b"b", "text": None}):
            client.incoming.put_nowait({"type": "websocket.receive", **message})
        client.hang_up()
        exchange = WebSocketExchange(client.scope, client.receive, client.send)
        await exchange.accept()
        assert client.sent == [{"type": "websocket.accept", "subprotocol": "Bearer"}]
        assert exchange.headers == [(b"authorization", b"tok")]
        assert [await exchange.read(), await exchange.read()] == [b"a\n", b"b\n"]
        with pytest.raises(Gone):
            await exchange.read()
        await exchange.start(404, [])
        await exchange.write(b"Not Found\n")
        await exchange.write(b"")
        await exchange.finish()
        assert client.sent[1:] == [
            {"type": "websocket.send", "text": "Not Found"},
            {"type": "websocket.close", "code": 1000},
        ]

    run(scenario())
