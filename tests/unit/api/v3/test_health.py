"""The gRPC health service: this member serves as long as it listens."""

from __future__ import annotations

from etcdpy.api.v3.health import HealthApi
from etcdpy.pb.health_pb2 import HealthCheckRequest, HealthCheckResponse
from tests.unit.api.v3.fake_call import FakeCall
from tests.unit.api.v3.unary_call import UnaryCall

NAMED = HealthCheckRequest(service="etcdserverpb.KV").SerializeToString()


def test_the_server_as_a_whole_serves() -> None:
    call = UnaryCall(b"")
    HealthApi().check(call)

    assert call.response is not None
    assert HealthCheckResponse.FromString(call.response).status == HealthCheckResponse.SERVING


def test_single_services_are_unknown() -> None:
    call = UnaryCall(NAMED)
    HealthApi().check(call)

    assert call.status == (5, "unknown service")


def test_a_watch_is_told_once_and_stays_open() -> None:
    for request, status in [(b"", HealthCheckResponse.SERVING), (NAMED, HealthCheckResponse.SERVICE_UNKNOWN)]:
        call = FakeCall()
        watch = HealthApi().watch(call)
        watch.on_message(request)
        watch.on_end()
        watch.on_drain()

        assert [HealthCheckResponse.FromString(message).status for message in call.written] == [status]
        assert call.status is None
        watch.on_close(8)
