"""The Auth service, as far as a cluster without authentication needs it. Source: etcdserverpb.Auth.

A client that was given a user name asks for a token first. Told that authentication is off it goes on without one;
told that there is no such service it gives up. So this one call is answered; the others are not served yet.
"""

from __future__ import annotations

from etcdpy.api.v3.dispatch import unary
from etcdpy.base.errors import AuthNotEnabled
from etcdpy.pb import rpc_pb2
from etcdpy.transport.grpc.call import Call


class AuthApi:
    """Handler of Authenticate."""

    def __init__(self) -> None:
        self.authenticate = unary(rpc_pb2.AuthenticateRequest.FromString, self._authenticate)

    def _authenticate(self, call: Call, request: rpc_pb2.AuthenticateRequest) -> None:
        raise AuthNotEnabled
