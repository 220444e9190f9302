"""The gRPC health service: etcd answers for the service named "" only. Source: grpc.health.v1.Health."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from etcdpy.api.v3.dispatch import refuse, unary
from etcdpy.base.errors import NOT_FOUND, EtcdError
from etcdpy.pb import health_pb2
from etcdpy.transport.grpc.call import Call, StreamHandler

_Response = health_pb2.HealthCheckResponse


class HealthApi:
    """Handlers of Check and Watch. This member serves as long as it listens."""

    def __init__(self) -> None:
        self.check = unary(health_pb2.HealthCheckRequest.FromString, self._check)

    def _check(self, call: Call, request: health_pb2.HealthCheckRequest) -> None:
        if request.service:
            raise EtcdError("unknown service", NOT_FOUND)
        call.respond(_Response(status=_Response.SERVING).SerializeToString())

    def watch(self, call: Call) -> StreamHandler:
        return _HealthWatch(call)


class _HealthWatch:
    """One watcher: told the status once, and again never, since it does not change while the member listens."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_told = False

    def on_message(self, message: bytes, /) -> None:
        if self._is_told:
            return  # one request is all that this kind of call has: answering each would queue without a bound
        self._is_told = True
        try:
            request = health_pb2.HealthCheckRequest.FromString(message)
        except DecodeError as error:
            refuse(self._call, error)
            return
        status = _Response.SERVICE_UNKNOWN if request.service else _Response.SERVING
        self._call.write(_Response(status=status).SerializeToString())

    def on_end(self) -> None:
        """The client has said what it watches; the stream stays open."""

    def on_close(self, error: int, /) -> None:
        """Nothing is held for a watcher."""

    def on_drain(self) -> None:
        """One small message is never held up."""
