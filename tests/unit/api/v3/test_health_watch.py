"""A health watch has one request; whatever else its client sends costs nothing."""

from __future__ import annotations

from etcdpy.api.v3.health import HealthApi
from etcdpy.base.errors import INTERNAL
from tests.unit.api.v3.fake_call import FakeCall


def test_more_requests_are_not_answered() -> None:
    call = FakeCall()
    watch = HealthApi().watch(call)
    for _ in range(3):
        watch.on_message(b"")

    assert len(call.written) == 1 and call.status is None


def test_bytes_that_are_no_request_end_the_call() -> None:
    call = FakeCall()
    watch = HealthApi().watch(call)
    watch.on_message(b"\xff")
    watch.on_message(b"")

    assert call.written == []
    assert call.status is not None and call.status[0] == INTERNAL
