"""Watches and renewals: looked at when they are asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from etcdpy.api.v3.identity import Identity
from etcdpy.api.v3.stream_permission import StreamPermission
from etcdpy.base.errors import InvalidAuthToken, PermissionDenied, UserEmpty
from etcdpy.base.log import silent_logger
from etcdpy.pb import rpc_pb2 as pb
from tests.unit.api.v3.auth_calls import AuthWorld, TokenCall, open_auth_world


def permission_of(world: AuthWorld) -> StreamPermission:
    permissions = world.node.permissions
    return StreamPermission(Identity(permissions.auth, silent_logger()), permissions)


def test_watches(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            permission = permission_of(world)
            assert permission.check_watch(TokenCall(b"", None), b"z", b"") is None
            await world.switch_on()
            call = TokenCall(b"", world.tokens["u"])
            denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
            assert permission.check_watch(call, b"a", b"") is None
            for end in (b"b", b"\0"):  # an open end is looked at as what it is: CVE-2026-73499
                assert permission.check_watch(call, b"a", end) == denied
            nobody, stranger = TokenCall(b"", None), TokenCall(b"", b"x.1")
            empty = "rpc error: code = InvalidArgument desc = etcdserver: user name is empty"
            invalid = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"
            assert permission.check_watch(nobody, b"a", b"") == empty
            assert permission.check_watch(stranger, b"a", b"") == invalid
            assert permission.check_watch(TokenCall(b"", world.tokens["root"]), b"\0", b"\0") is None

    asyncio.run(scenario())


def test_renewals(tmp_path: Path) -> None:
    """CVE-2026-33413."""

    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            permission = permission_of(world)
            for lease, key in ((1, b"a"), (2, b"b")):
                await world.ask("Lease/LeaseGrant", pb.LeaseGrantRequest(ID=lease, TTL=600))
                await world.ask("KV/Put", pb.PutRequest(key=key, lease=lease))
            permission.check_renew(TokenCall(b"", None), 2)
            await world.switch_on()
            user = TokenCall(b"", world.tokens["u"])
            for lease in (1, 9):
                permission.check_renew(user, lease)
            permission.check_renew(TokenCall(b"", world.tokens["root"]), 2)
            for call, refusal in (
                (user, PermissionDenied),
                (TokenCall(b"", None), UserEmpty),
                (TokenCall(b"", b"x.1"), InvalidAuthToken),
            ):
                with pytest.raises(refusal):
                    permission.check_renew(call, 2)

    asyncio.run(scenario())
