"""Refusals as grpc-gateway v1 words them: a gRPC status becomes an HTTP status and a JSON body (facts 1.2)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from etcdpy.api.gateway.go_json import write_text
from etcdpy.base import errors
from etcdpy.base.errors import EtcdError

_HTTP: Final = {
    errors.OK: 200,
    errors.CANCELED: 408,
    errors.UNKNOWN: 500,
    errors.INVALID_ARGUMENT: 400,
    errors.DEADLINE_EXCEEDED: 504,
    errors.NOT_FOUND: 404,
    6: 409,  # AlreadyExists
    errors.PERMISSION_DENIED: 403,
    errors.RESOURCE_EXHAUSTED: 429,
    errors.FAILED_PRECONDITION: 400,
    errors.ABORTED: 409,
    errors.OUT_OF_RANGE: 400,
    errors.UNIMPLEMENTED: 501,
    errors.INTERNAL: 500,
    errors.UNAVAILABLE: 503,
    errors.DATA_LOSS: 500,
    errors.UNAUTHENTICATED: 401,
}


def http_status(code: int) -> int:
    return _HTTP.get(code, 500)


def error_body(error: EtcdError) -> bytes:
    """Return the body of an answer that is an error."""
    text = write_text(error.text)
    if not error.text:
        return f'{{"code":{error.code}}}'.encode()
    return f'{{"error":{text},"code":{error.code},"message":{text}}}'.encode()


def stream_error_body(error: EtcdError) -> bytes:
    """Return the last piece of a stream that ended with an error."""
    status = http_status(error.code)
    name = "Request Timeout" if status == 408 else HTTPStatus(status).phrase
    message = f'"message":{write_text(error.text)},' if error.text else ""
    fields = f'"grpc_code":{error.code},"http_code":{status},{message}"http_status":{write_text(name)}'
    return f'{{"error":{{{fields}}}}}'.encode()
