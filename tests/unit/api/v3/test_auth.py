"""The Auth service on a whole node. What each answer is, a real etcd tells: tests/compat/test_auth_real.py."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from etcdpy.pb import rpc_pb2 as pb
from etcdpy.pb.auth_pb2 import User, UserAddOptions
from etcdpy.storage.schema import buckets
from tests.unit.api.v3.auth_calls import open_auth_world
from tests.unit.api.v3.unary_call import UnaryCall

OFF = "authentication is not enabled"
FAILED = "authentication failed, invalid user ID or password"
CANARY = b"canary-in-a-password"


def test_authentication_is_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            assert await world.refusal("Auth/Authenticate", pb.AuthenticateRequest(name=b"root", password=b"x")) == OFF
            status = pb.AuthStatusResponse.FromString(await world.ask("Auth/AuthStatus", pb.AuthStatusRequest()))
            assert (status.enabled, status.authRevision) == (False, 1)

    asyncio.run(scenario())


def test_logging_in_and_out_of_date(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            await world.switch_on()
            await world.ask("KV/Put", pb.PutRequest(key=b"a"), "u")
            assert await world.refusal("KV/Put", pb.PutRequest(key=b"b"), "u") == "permission denied"
            assert await world.refusal("KV/Put", pb.PutRequest(key=b"a")) == "user name is empty"
            assert await world.refusal("KV/Range", pb.RangeRequest(key=b"b"), "u") == "permission denied"
            for wrong in (pb.AuthenticateRequest(name=b"u", password=b"x"), pb.AuthenticateRequest(name=b"none")):
                assert await world.refusal("Auth/Authenticate", wrong) == FAILED
            change = pb.AuthUserChangePasswordRequest(name=b"u", password=b"new")
            await world.ask("Auth/UserChangePassword", change, "root")
            assert await world.refusal("KV/Put", pb.PutRequest(key=b"a"), "u") == "invalid auth token"
            await world.ask("Auth/AuthDisable", pb.AuthDisableRequest(), "root")
            await world.ask("KV/Put", pb.PutRequest(key=b"b"))

    asyncio.run(scenario())


def test_users_without_a_password(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            options = UserAddOptions(no_password=True)
            await world.ask("Auth/UserAdd", pb.AuthUserAddRequest(name=b"n", password=CANARY, options=options))
            await world.switch_on()
            wanted = pb.AuthenticateRequest(name=b"n", password=CANARY)
            expected = "auth: authentication failed, password was given for no password user"
            assert await world.refusal("Auth/Authenticate", wanted) == expected

    asyncio.run(scenario())


def test_passwords_stay_out_of_the_log_and_the_database(tmp_path: Path) -> None:
    """CVE-2021-28235, and finding 12 of the audit of 2020."""

    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            options = UserAddOptions(no_password=True)
            await world.ask("Auth/UserAdd", pb.AuthUserAddRequest(name=b"none", password=CANARY, options=options))
            await world.ask("Auth/UserAdd", pb.AuthUserAddRequest(name=b"canary-bird", password=CANARY))
            change = pb.AuthUserChangePasswordRequest(name=b"canary-bird", password=CANARY + b"2")
            await world.ask("Auth/UserChangePassword", change)
            await world.switch_on()
            log_in = pb.AuthenticateRequest(name=b"canary-bird", password=CANARY + b"2")
            await world.ask("Auth/Authenticate", log_in)
            stored = world.node.backend.get(buckets.AUTH_USERS, b"canary-bird")
            assert stored is not None and User.FromString(stored).password.startswith(b"$2a$04$")

    asyncio.run(scenario())
    contents = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"canary-bird" in content for content in contents), "the name is there, so the place is the right one"
    assert not any(CANARY in content for content in contents)


def test_a_restart_keeps_everything_but_tokens(tmp_path: Path) -> None:
    async def first() -> dict[str, bytes]:
        async with open_auth_world(tmp_path) as world:
            await world.switch_on()
            return world.tokens

    async def second(tokens: dict[str, bytes]) -> None:
        async with open_auth_world(tmp_path) as world:
            world.tokens = tokens
            assert await world.refusal("KV/Put", pb.PutRequest(key=b"a")) == "user name is empty"
            assert await world.refusal("KV/Put", pb.PutRequest(key=b"a"), "u") == "invalid auth token"
            for user in ("u", "root"):
                await world.log_in(user)
            await world.ask("KV/Put", pb.PutRequest(key=b"a"), "u")
            assert await world.refusal("KV/Put", pb.PutRequest(key=b"b"), "u") == "permission denied"
            answer = await world.ask("Auth/AuthStatus", pb.AuthStatusRequest(), "root")
            assert pb.AuthStatusResponse.FromString(answer).authRevision == 7

    asyncio.run(second(asyncio.run(first())))


def test_a_hash_that_takes_long_stops_nobody_and_a_changed_user_is_looked_at_again(tmp_path: Path) -> None:
    """The password changes while the old one is being compared: the log-in fails."""

    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            await world.switch_on()
            passwords, began = world.node.passwords, asyncio.Event()
            compare, change = passwords.matches, pb.AuthUserChangePasswordRequest(name=b"u", password=b"new")

            async def compare_late(password: bytes, known: bytes) -> bool:
                result = await compare(password, known)
                if not began.is_set():
                    began.set()
                    await world.ask("Auth/UserChangePassword", change, "root")
                return result

            passwords.matches = compare_late  # type: ignore[method-assign]
            assert await world.refusal("Auth/Authenticate", pb.AuthenticateRequest(name=b"u", password=b"u")) == FAILED

    asyncio.run(scenario())


def test_bytes_that_are_no_request(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            for path in [path for path in world.api.methods if path.startswith(b"/etcdserverpb.Auth/")]:
                call = UnaryCall(b"\xff")
                handler: Any = world.api.methods[path].handler
                handler(call)
                assert call.status is not None and call.status[0] == 13, path

    asyncio.run(scenario())
