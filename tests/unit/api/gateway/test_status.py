"""Refusals in JSON."""

from __future__ import annotations

from etcdpy.api.gateway.status import error_body, http_status, stream_error_body
from etcdpy.base import errors
from etcdpy.base.errors import EtcdError


def test_statuses_of_http() -> None:
    statuses = {code: http_status(code) for code in (errors.INVALID_ARGUMENT, errors.UNAUTHENTICATED, 6, 99)}
    assert statuses == {errors.INVALID_ARGUMENT: 400, errors.UNAUTHENTICATED: 401, 6: 409, 99: 500}


def test_bodies() -> None:
    error = EtcdError('no "leader"', errors.UNAVAILABLE)

    assert error_body(error) == b'{"error":"no \\"leader\\"","code":14,"message":"no \\"leader\\""}'
    assert stream_error_body(error) == (
        b'{"error":{"grpc_code":14,"http_code":503,"message":"no \\"leader\\"","http_status":"Service Unavailable"}}'
    )
