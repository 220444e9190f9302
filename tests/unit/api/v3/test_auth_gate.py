"""What is asked of callers before a handler sees their call. All of it: tests/compat/test_auth_real.py."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from etcdpy.base.errors import EtcdError
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.transport.http2._nghttp2 import StreamMethod
from tests.unit.api.v3.auth_calls import TokenCall, open_auth_world
from tests.unit.api.v3.fake_call import FakeCall
from tests.unit.server.spine import until

ROOT_ONLY = [
    ("KV/Compact", pb.CompactionRequest(revision=1)),
    ("Cluster/MemberRemove", pb.MemberRemoveRequest(ID=1)),
    ("Maintenance/Alarm", pb.AlarmRequest(action=pb.AlarmRequest.ACTIVATE, alarm=pb.NOSPACE)),
    ("Maintenance/Hash", pb.HashRequest()),
    ("Maintenance/Defragment", pb.DefragmentRequest()),
    ("Maintenance/MoveLeader", pb.MoveLeaderRequest()),
]
LOG_IN = [
    ("Cluster/MemberList", pb.MemberListRequest()),
    ("Maintenance/Alarm", pb.AlarmRequest()),
    ("Maintenance/Status", pb.StatusRequest()),
    ("Lease/LeaseGrant", pb.LeaseGrantRequest(TTL=60)),
]


def test_nothing_stands_before_the_handlers_while_it_is_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            path = b"/etcdserverpb.KV/Put"
            world.api.gates.refresh()
            bare = world.api.methods[path].handler
            await world.switch_on()
            assert world.api.methods[path].handler != bare
            await world.ask("Auth/AuthDisable", pb.AuthDisableRequest(), "root")
            assert world.api.methods[path].handler == bare

    asyncio.run(scenario())


def test_who_may_not(tmp_path: Path) -> None:
    """CVE-2026-33413."""

    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            await world.switch_on()
            world.tokens["stranger"] = b"abcdefghijklmnop.1"
            for method, request in (*ROOT_ONLY, *LOG_IN):
                assert "user name is empty" in await world.refusal(method, request)
                assert "invalid auth token" in await world.refusal(method, request, "stranger")
            for method, request in ROOT_ONLY:
                assert "permission denied" in await world.refusal(method, request, "u")
            for method, request in LOG_IN:
                await world.ask(method, request, "u")

    asyncio.run(scenario())


def test_snapshots_are_for_root(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            await world.switch_on()
            method = world.api.methods[b"/etcdserverpb.Maintenance/Snapshot"]
            assert isinstance(method, StreamMethod)
            open_stream: Any = method.handler
            with pytest.raises(EtcdError, match="auth: permission denied"):
                open_stream(TokenCall(b"", world.tokens["u"]))
            open_stream(TokenCall(b"", world.tokens["root"]))

    asyncio.run(scenario())


def test_a_token_of_an_entry_to_come_waits_for_it(tmp_path: Path) -> None:
    """And one that never comes is refused all the same."""

    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            await world.switch_on()
            world.tokens["later"] = b"abcdefghijklmnop.%d" % (world.node.member.applied_index + 1)
            call = TokenCall(pb.PutRequest(key=b"a").SerializeToString(), world.tokens["later"])
            handler: Any = world.api.methods[b"/etcdserverpb.KV/Put"].handler
            handler(call)
            assert not call.is_answered
            world.node.permissions.auth.tokens.assign(b"u", 1, b"abcdefghijklmnop", 1)
            while not call.is_answered:
                await asyncio.sleep(0)
            assert call.response is not None
            world.tokens["never"] = b"ABCDEFGHIJKLMNOP.99999999"
            assert await world.refusal("KV/Put", pb.PutRequest(key=b"a"), "never") == "invalid auth token"

    asyncio.run(scenario())


def test_a_stream_waits_for_the_token_too_and_is_not_read_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            await world.switch_on()
            watch: Any = world.api.methods[b"/etcdserverpb.Watch/Watch"].handler
            create = pb.WatchRequest(create_request=pb.WatchCreateRequest(key=b"a")).SerializeToString()
            soon = world.node.member.applied_index + 1
            for token, letters, is_refused in (
                (b"abcdefghijklmnop.%d" % soon, b"abcdefghijklmnop", False),
                (b"ABCDEFGHIJKLMNOP.99999999", b"another", True),
            ):
                call = FakeCall(metadata={b"token": token})
                handler = watch(call)
                assert not call.is_reading
                world.node.permissions.auth.tokens.assign(b"u", 1, letters, 1)
                await until(lambda call=call: call.is_reading)  # type: ignore[misc]
                handler.on_message(create)
                assert pb.WatchResponse.FromString(call.take()[0]).canceled is is_refused

    asyncio.run(scenario())


def test_a_snapshot_waits_for_the_token_and_is_then_looked_at(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            await world.switch_on()
            snapshot: Any = world.api.methods[b"/etcdserverpb.Maintenance/Snapshot"].handler
            token = b"abcdefghijklmnop.%d" % (world.node.member.applied_index + 1)
            call = FakeCall(metadata={b"token": token})
            snapshot(call)
            world.node.permissions.auth.tokens.assign(b"u", 1, b"abcdefghijklmnop", 1)
            await until(lambda: call.status is not None)
            assert call.status == (2, "auth: permission denied")

    asyncio.run(scenario())
