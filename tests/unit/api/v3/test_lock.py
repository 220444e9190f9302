"""The Lock service on a whole member: who holds, who waits, whose lease died."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from etcdpy.base.errors import UNKNOWN, EtcdError
from etcdpy.embed.grpc_methods import GrpcApi
from etcdpy.pb import rpc_pb2
from etcdpy.pb.v3lock_pb2 import LockRequest, LockResponse, UnlockRequest
from tests.unit.api.v3.fake_call import FakeCall
from tests.unit.embed.open_node import open_node
from tests.unit.server.spine import run, until

LOCK, UNLOCK = b"/v3lockpb.Lock/Lock", b"/v3lockpb.Lock/Unlock"


async def lock(api: GrpcApi, lease: int) -> LockResponse:
    request = LockRequest(name=b"l", lease=lease).SerializeToString()
    return LockResponse.FromString(await api.local.unary(LOCK, request, FakeCall()))


async def lease_call(
    api: GrpcApi, method: bytes, request: rpc_pb2.LeaseGrantRequest | rpc_pb2.LeaseRevokeRequest
) -> None:
    await api.local.unary(b"/etcdserverpb.Lease/" + method, request.SerializeToString(), FakeCall())


def test_the_second_gets_it_when_the_first_unlocks(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, api):
            first = await lock(api, 0)
            waiting = asyncio.ensure_future(lock(api, 0))
            await until(lambda: node.hub.watcher_count == 1)
            await api.local.unary(UNLOCK, UnlockRequest(key=first.key).SerializeToString(), FakeCall())
            second = await waiting
            assert second.key != first.key and second.header.revision > first.header.revision

    run(scenario())


def test_a_dead_lease_gets_no_lock(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, api):
            for lease in (1, 2):
                await lease_call(api, b"LeaseGrant", rpc_pb2.LeaseGrantRequest(ID=lease, TTL=100))
            await lock(api, 1)
            waiting = asyncio.ensure_future(lock(api, 2))
            await until(lambda: node.hub.watcher_count == 1)
            await lease_call(api, b"LeaseRevoke", rpc_pb2.LeaseRevokeRequest(ID=2))
            await lease_call(api, b"LeaseRevoke", rpc_pb2.LeaseRevokeRequest(ID=1))
            with pytest.raises(EtcdError, match="mutex: session is expired") as caught:
                await waiting
            assert caught.value.code == UNKNOWN

    run(scenario())
