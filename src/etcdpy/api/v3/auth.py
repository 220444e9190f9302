"""The Auth service: users, roles, permissions, and logging in. Source: etcdserverpb.Auth.

Everything is an entry of the log, questions too, as with 3.5. Passwords never get that far: they are hashed here, or
compared here, and wiped from the request (CVE-2021-28235); the log sees hashes, and of a log-in only that it was one.

    Authenticate   wait until all that is committed is applied > compare > propose (name, letters of the token)
                   users changed meanwhile? once more

Upstream: v3rpc/auth.go, EtcdServer.Authenticate.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from etcdpy.api.v3.dispatch import Dispatcher, caller_of, unary
from etcdpy.api.v3.header import HeaderEncoder
from etcdpy.base.errors import AuthFailed, AuthNotEnabled, EtcdError
from etcdpy.base.log import log_info, log_warn
from etcdpy.pb import raft_internal_pb2, rpc_pb2
from etcdpy.server.passwords import Passwords
from etcdpy.server.service import Service
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.caller import Caller
from etcdpy.state.auth import AuthStore
from etcdpy.transport.grpc.call import Call


class AuthApi:
    """Handlers of the Auth service."""

    def __init__(
        self,
        service: Service,
        dispatcher: Dispatcher,
        header: HeaderEncoder,
        auth: AuthStore,
        passwords: Passwords,
        log: logging.Logger,
    ) -> None:
        self._service = service
        self._dispatcher = dispatcher
        self._header = header
        self._auth = auth
        self._passwords = passwords
        self._log = log
        self.auth_enable = self._proposing(kinds.AUTH_ENABLE, rpc_pb2.AuthEnableRequest)
        self.auth_disable = self._proposing(kinds.AUTH_DISABLE, rpc_pb2.AuthDisableRequest)
        self.auth_status = self._proposing(kinds.AUTH_STATUS, rpc_pb2.AuthStatusRequest)
        self.authenticate = unary(rpc_pb2.AuthenticateRequest.FromString, self._authenticate)
        self.user_add = unary(rpc_pb2.AuthUserAddRequest.FromString, self._user_add)
        self.user_get = self._proposing(kinds.AUTH_USER_GET, rpc_pb2.AuthUserGetRequest)
        self.user_list = self._proposing(kinds.AUTH_USER_LIST, rpc_pb2.AuthUserListRequest)
        self.user_delete = self._proposing(kinds.AUTH_USER_DELETE, rpc_pb2.AuthUserDeleteRequest)
        self.user_change_password = unary(rpc_pb2.AuthUserChangePasswordRequest.FromString, self._change_password)
        self.user_grant_role = self._proposing(kinds.AUTH_USER_GRANT_ROLE, rpc_pb2.AuthUserGrantRoleRequest)
        self.user_revoke_role = self._proposing(kinds.AUTH_USER_REVOKE_ROLE, rpc_pb2.AuthUserRevokeRoleRequest)
        self.role_add = self._proposing(kinds.AUTH_ROLE_ADD, rpc_pb2.AuthRoleAddRequest)
        self.role_get = self._proposing(kinds.AUTH_ROLE_GET, rpc_pb2.AuthRoleGetRequest)
        self.role_list = self._proposing(kinds.AUTH_ROLE_LIST, rpc_pb2.AuthRoleListRequest)
        self.role_delete = self._proposing(kinds.AUTH_ROLE_DELETE, rpc_pb2.AuthRoleDeleteRequest)
        self.role_grant_permission = self._proposing(
            kinds.AUTH_ROLE_GRANT_PERMISSION, rpc_pb2.AuthRoleGrantPermissionRequest
        )
        self.role_revoke_permission = self._proposing(
            kinds.AUTH_ROLE_REVOKE_PERMISSION, rpc_pb2.AuthRoleRevokePermissionRequest
        )

    def _proposing(self, kind: int, request_type: type[Message]) -> Callable[[Call], None]:
        def propose(call: Call, request: Any) -> None:
            self._dispatcher.propose(call, kind, request, call.message)

        return unary(request_type.FromString, propose)

    # -- passwords of users

    def _user_add(self, call: Call, request: rpc_pb2.AuthUserAddRequest) -> None:
        password, request.password = request.password, b""
        if request.options.no_password:
            self._dispatcher.propose(call, kinds.AUTH_USER_ADD, request, request.SerializeToString())
        else:
            work = self._propose_hashed(kinds.AUTH_USER_ADD, request, password, caller_of(call))
            self._dispatcher.answer_later(call, work)

    def _change_password(self, call: Call, request: rpc_pb2.AuthUserChangePasswordRequest) -> None:
        """Without a password the hash is taken that was sent, or none: then nobody can log in with one."""
        password, request.password = request.password, b""
        if not password:
            self._dispatcher.propose(call, kinds.AUTH_USER_CHANGE_PASSWORD, request, request.SerializeToString())
        else:
            work = self._propose_hashed(kinds.AUTH_USER_CHANGE_PASSWORD, request, password, caller_of(call))
            self._dispatcher.answer_later(call, work)

    async def _propose_hashed(self, kind: int, request: Any, password: bytes, caller: Caller | None) -> bytes:
        request.hashedPassword = base64.b64encode(await self._passwords.hash(password))
        return self._header.complete(await self._service.call(kind, request, caller))

    # -- logging in

    def _authenticate(self, call: Call, request: rpc_pb2.AuthenticateRequest) -> None:
        password, request.password = request.password, b""
        self._dispatcher.answer_later(call, self._log_in(request.name, password))

    async def _log_in(self, name: bytes, password: bytes) -> bytes:
        await self._service.wait_linearizable()
        while True:
            revision = self._auth.revision
            await self._check_password(name, password)
            request = raft_internal_pb2.InternalAuthenticateRequest(
                name=name, simple_token=self._auth.tokens.make_prefix()
            )
            answer = await self._service.call(kinds.AUTHENTICATE, request)
            if revision == self._auth.revision:
                return self._header.complete(answer)
            log_info(self._log, "revision when password checked became stale; retrying")

    async def _check_password(self, name: bytes, password: bytes) -> None:
        try:
            if not await self._passwords.matches(password, self._auth.password_hash(name)):
                log_info(self._log, "invalid password", user_name=name.decode(errors="replace"))
                raise AuthFailed
        except AuthNotEnabled:
            raise
        except EtcdError as error:
            user = name.decode(errors="replace")
            log_warn(self._log, "invalid authentication was requested", user=user, error=error.text)
            raise
