"""The Python client of etcd, synchronous and asynchronous, over the v3 gRPC API. It never imports server code.

    from etcdpy.client import Client                 from etcdpy.client import AsyncClient

    with Client(["127.0.0.1:2379"]) as client:       async with AsyncClient(["127.0.0.1:2379"]) as client:
        client.kv.put(b"k", b"v")                        await client.kv.put(b"k", b"v")
        client.kv.get(b"k").kvs[0].value                 (await client.kv.get(b"k")).kvs[0].value

Both have the same nouns (kv, lease, cluster, maintenance, auth, and watch), answer with the protobuf messages of
`etcdpy.pb.rpc_pb2`, and raise `etcdpy.base.errors.EtcdError` or its subclasses.

Importing this package costs nothing: the classes are loaded at first use, so that a command line tool with the
synchronous client never pays for asyncio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etcdpy.client.aio import AsyncClient as AsyncClient
    from etcdpy.client.client import Client as Client

__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> object:
    if name == "Client":
        from etcdpy.client.client import Client

        return Client
    if name == "AsyncClient":
        from etcdpy.client.aio import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
