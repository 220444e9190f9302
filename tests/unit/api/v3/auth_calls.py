"""A whole node with users, and unary calls that show a token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from etcdpy.embed.grpc_methods import GrpcApi
from etcdpy.embed.node import Node
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.pb.auth_pb2 import Permission
from tests.unit.api.v3.unary_call import UnaryCall
from tests.unit.embed.open_node import open_node
from tests.unit.server.spine import until


class TokenCall(UnaryCall):
    def __init__(self, message: bytes, token: bytes | None) -> None:
        super().__init__(message)
        self._token = token

    def metadata(self, name: bytes) -> bytes | None:
        return self._token if name == b"token" else None


class AuthWorld:
    """Answers by method name, for users by name."""

    def __init__(self, node: Node, api: GrpcApi) -> None:
        self.node = node
        self.api = api
        self.tokens: dict[str, bytes] = {}

    async def call(self, method: str, request: Message, user: str = "") -> TokenCall:
        path = b"/etcdserverpb." + method.encode()
        call = TokenCall(request.SerializeToString(), self.tokens.get(user))
        handler: Any = self.api.methods[path].handler
        handler(call)
        await until(lambda: call.is_answered)
        return call

    async def ask(self, method: str, request: Message, user: str = "") -> bytes:
        call = await self.call(method, request, user)
        assert call.status is None and call.response is not None, (method, call.status)
        return call.response

    async def refusal(self, method: str, request: Message, user: str = "") -> str:
        call = await self.call(method, request, user)
        assert call.status is not None, (method, call.response)
        return call.status[1].removeprefix("etcdserver: ")

    async def log_in(self, user: str) -> None:
        request = pb.AuthenticateRequest(name=user.encode(), password=user.encode())
        self.tokens[user] = pb.AuthenticateResponse.FromString(await self.ask("Auth/Authenticate", request)).token

    async def switch_on(self) -> None:
        """Users root, and u who may read and write a."""
        for user in (b"root", b"u"):
            await self.ask("Auth/UserAdd", pb.AuthUserAddRequest(name=user, password=user))
        permission = Permission(permType=Permission.READWRITE, key=b"a")
        await self.ask("Auth/RoleAdd", pb.AuthRoleAddRequest(name=b"r"))
        await self.ask("Auth/RoleGrantPermission", pb.AuthRoleGrantPermissionRequest(name=b"r", perm=permission))
        for user, role in ((b"root", b"root"), (b"u", b"r")):
            await self.ask("Auth/UserGrantRole", pb.AuthUserGrantRoleRequest(user=user, role=role))
        await self.ask("Auth/AuthEnable", pb.AuthEnableRequest())
        for name in ("root", "u"):
            await self.log_in(name)


@asynccontextmanager
async def open_auth_world(directory: Path, **settings: Any) -> AsyncIterator[AuthWorld]:
    async with open_node(directory, bcrypt_cost=4, **settings) as (node, api):
        yield AuthWorld(node, api)
