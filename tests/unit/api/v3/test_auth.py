"""Auth while there is none: clients with a user name are told so, and go on without a token."""

from __future__ import annotations

from etcdpy.api.v3.auth import AuthApi
from etcdpy.pb.rpc_pb2 import AuthenticateRequest
from tests.unit.api.v3.unary_call import UnaryCall


def test_authentication_is_off() -> None:
    call = UnaryCall(AuthenticateRequest(name=b"root", password=b"x").SerializeToString())
    AuthApi().authenticate(call)

    assert call.status == (9, "etcdserver: authentication is not enabled")


def test_bytes_that_are_no_request() -> None:
    call = UnaryCall(b"\xff")
    AuthApi().authenticate(call)

    assert call.status is not None and call.status[0] == 13
