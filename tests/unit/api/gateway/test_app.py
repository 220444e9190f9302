"""The gateway on a whole member without listeners."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from etcdpy.api.gateway.app import Gateway
from etcdpy.api.v3.local import LocalMethods
from etcdpy.embed.node import Node
from etcdpy.transport.grpc.call import Call
from etcdpy.transport.http2._nghttp2 import UnaryMethod
from tests.unit.api.gateway.asgi import FakeClient
from tests.unit.embed.open_node import open_node
from tests.unit.server.spine import run, until


@asynccontextmanager
async def open_gateway(tmp_path: Path) -> AsyncIterator[tuple[Node, Gateway]]:
    async with open_node(tmp_path) as (node, api):
        yield node, Gateway(api.gateway, message_bytes_max=1000)


async def ask(gateway: Gateway, path: str, body: bytes = b"{}", **options: str) -> FakeClient:
    client = FakeClient(path, body, headers=options)
    client.end_body()
    await gateway(client.scope, client.receive, client.send)
    return client


def test_a_put_and_a_range(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path) as (_, gateway):
            put = await ask(gateway, "/v3/kv/put", b'{"key":"Zm9v","value":"YmFy"}')
            found = await ask(gateway, "/v3beta/kv/range", b'{"key":"Zm9v"}')
            assert put.status == found.status == 200
            assert found.headers["grpc-metadata-content-type"] == "application/grpc"
            assert int(found.headers["content-length"]) == len(found.body)
            assert json.loads(found.body)["kvs"][0]["value"] == "YmFy"

    run(scenario())


def test_refusals(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path) as (_, gateway):
            empty = await ask(gateway, "/v3/kv/range")
            assert (empty.status, json.loads(empty.body)["code"]) == (400, 3)
            large = await ask(gateway, "/v3/kv/put", b'{"key":"Zm9v","value":"' + b"YWFh" * 400 + b'"}')
            assert large.status == 429 and b"larger than max (1208 vs. 1000)" in large.body
            assert (await ask(gateway, "/v3/kv/nothing")).body == b"Not Found\n"
            got = FakeClient("/v3/kv/range", method="GET")
            await gateway(got.scope, got.receive, got.send)
            assert (got.status, got.body) == (405, b"Method Not Allowed\n")

    run(scenario())


def test_a_watch_is_a_stream_both_ways_until_its_client_hangs_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path) as (node, gateway):
            client = FakeClient("/v3/watch", b'{"create_request":{"key":"Zm9v"}}')
            serving = asyncio.ensure_future(gateway(client.scope, client.receive, client.send))
            await until(lambda: len(client.pieces) == 1)
            await ask(gateway, "/v3/kv/put", b'{"key":"Zm9v"}')
            await until(lambda: len(client.pieces) == 2)
            assert b'"events":[{"kv":{"key":"Zm9v"' in client.pieces[1]
            more = {"type": "http.request", "body": b'{"progress_request":{}}', "more_body": True}
            client.incoming.put_nowait(more)
            await until(lambda: len(client.pieces) == 3)
            assert node.hub.watcher_count == 1
            client.hang_up()
            await serving
            assert node.hub.watcher_count == 0

    run(scenario())


def test_a_client_that_hangs_up_leaves_the_queue_of_a_lock(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path) as (node, gateway):
            await ask(gateway, "/v3/lock/lock", b'{"name":"bA=="}')
            client = FakeClient("/v3/lock/lock", b'{"name":"bA=="}')
            client.end_body()
            serving = asyncio.ensure_future(gateway(client.scope, client.receive, client.send))
            await until(lambda: node.hub.watcher_count == 1)
            assert node.store.keys_total == 2
            client.hang_up()
            await serving
            await until(lambda: node.store.keys_total == 1)
            assert client.sent == []

    run(scenario())


def test_deadlines(tmp_path: Path) -> None:
    late = b'"message":"context deadline exceeded"'

    async def scenario() -> None:
        async with open_gateway(tmp_path) as (_, gateway):
            await ask(gateway, "/v3/lock/lock", b'{"name":"bA=="}')
            lock = await ask(gateway, "/v3/lock/lock", b'{"name":"bA=="}', **{"grpc-timeout": "20m"})
            assert lock.status == 504 and late in lock.body
            observe = await ask(gateway, "/v3/election/observe", b'{"name":"bm9u"}', **{"grpc-timeout": "20m"})
            assert observe.status == 504 and observe.body.startswith(b'{"error":"context')
            watch = await ask(gateway, "/v3/watch", b'{"create_request":{}}', **{"grpc-timeout": "200m"})
            assert watch.status == 200 and late in watch.pieces[1]

    run(scenario())


def test_a_bug_of_a_handler_is_told_to_the_loop() -> None:
    def break_down(call: Call) -> None:
        raise AssertionError("a bug")

    async def scenario() -> None:
        told: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        gateway = Gateway(LocalMethods({b"/etcdserverpb.KV/Put": UnaryMethod(break_down)}), message_bytes_max=100)
        client = await ask(gateway, "/v3/kv/put")
        assert client.status == 500 and b"AssertionError: a bug" in client.body
        assert isinstance(told[0]["exception"], AssertionError)

    run(scenario())
