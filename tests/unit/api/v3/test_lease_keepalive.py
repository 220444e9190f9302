"""Keep-alive calls: answers in order, what a missing lease says, and how calls end."""

from __future__ import annotations

import pytest

from etcdpy.api.v3.header import HeaderEncoder
from etcdpy.api.v3.lease_keepalive import MALFORMED_TEXT, WAITING_MAX, KeepAliveCall, LeaseKeepAliveApi, RenewalAnswer
from etcdpy.base.errors import EtcdError, LeaseNotFound, NoLeader, Timeout
from etcdpy.pb import rpc_pb2
from tests.unit.api.v3.fake_call import FakeCall

Response = rpc_pb2.LeaseKeepAliveResponse


class Renewals:
    """Leases with their TTLs; answers at once, or when told to."""

    def __init__(self, ttls: dict[int, int]) -> None:
        self.ttls = ttls
        self.is_distant = False
        self.waiting: list[tuple[int, RenewalAnswer]] = []

    def renew(self, lease_id: int, answer: RenewalAnswer) -> None:
        if self.is_distant:
            self.waiting.append((lease_id, answer))
        else:
            answer(self.ttls.get(lease_id) or LeaseNotFound())


class Service:
    """The api over renewals that a test controls."""

    def __init__(self) -> None:
        self.renewals = Renewals({5: 60, -4: 100, 8: 9_000_000_000})
        self.revision = 4
        header = HeaderEncoder(cluster_id=1, member_id=2, get_term=lambda: 3, get_revision=lambda: self.revision)
        self.leader = True
        self.api = LeaseKeepAliveApi(self.renewals, header, has_leader=lambda: self.leader)

    def open(self, call: FakeCall) -> KeepAliveCall:
        return self.api.open(call)


def request(lease_id: int) -> bytes:
    return rpc_pb2.LeaseKeepAliveRequest(ID=lease_id).SerializeToString()


def hear(call: FakeCall) -> list[Response]:
    return [Response.FromString(message) for message in call.take()]


def test_each_request_is_answered() -> None:
    """A missing lease has TTL 0; ids may be negative; the bytes are those of the message."""
    service, call = Service(), FakeCall()
    handler = service.open(call)
    for lease_id in (-4, 0, 999, 8):
        handler.on_message(request(lease_id))

    header = rpc_pb2.ResponseHeader(cluster_id=1, member_id=2, revision=4, raft_term=3)
    expected = [
        Response(header=header, ID=-4, TTL=100),
        Response(header=header),
        Response(header=header, ID=999),
        Response(header=header, ID=8, TTL=9_000_000_000),
    ]
    assert call.take() == [response.SerializeToString() for response in expected]


def test_answers_keep_the_order_of_requests() -> None:
    service, call = Service(), FakeCall()
    handler = service.open(call)
    service.renewals.is_distant = True
    handler.on_message(request(5))
    service.revision = 9
    handler.on_message(request(8))
    (_, first), (_, second) = service.renewals.waiting
    second(70)
    assert call.written == []
    first(60)
    assert [(r.ID, r.TTL, r.header.revision) for r in hear(call)] == [(5, 60, 4), (8, 70, 9)]


def test_regular_end_waits_for_the_answers() -> None:
    service, call = Service(), FakeCall()
    handler = service.open(call)
    handler.on_message(request(5))
    service.renewals.is_distant = True
    handler.on_message(request(8))
    handler.on_end()
    assert call.status is None
    service.renewals.waiting[0][1](60)
    assert len(call.written) == 2 and call.status == (0, "")


def test_end_without_requests() -> None:
    service, call = Service(), FakeCall()
    service.open(call).on_end()
    assert call.status == (0, "")


def test_error_of_the_leader_ends_the_call() -> None:
    service, call = Service(), FakeCall()
    handler = service.open(call)
    service.renewals.is_distant = True
    for lease_id in (5, 8):
        handler.on_message(request(lease_id))
    for _, answer in service.renewals.waiting:
        answer(Timeout())
    handler.on_end()
    handler.on_message(request(5))
    assert call.status == (14, "etcdserver: request timed out")
    assert call.written == []


def test_garbage_ends_the_call() -> None:
    service, call = Service(), FakeCall()
    service.open(call).on_message(b"\xff")
    assert call.status == (13, MALFORMED_TEXT)


def test_answers_after_the_close_are_dropped() -> None:
    service, call = Service(), FakeCall()
    handler = service.open(call)
    service.renewals.is_distant = True
    handler.on_message(request(5))
    handler.on_close(8)
    service.renewals.waiting[0][1](60)
    service.api.cut_leaderless()
    assert call.written == [] and call.status is None


def test_requests_are_not_read_while_answers_have_no_room() -> None:
    service, call = Service(), FakeCall(room=1)
    handler = service.open(call)
    handler.on_message(request(5))
    assert not call.is_reading
    call.room = 10
    handler.on_drain()
    assert call.is_reading


def test_requests_are_not_read_while_many_wait_for_the_leader() -> None:
    service, call = Service(), FakeCall()
    handler = service.open(call)
    service.renewals.is_distant = True
    for _ in range(WAITING_MAX):
        assert call.is_reading
        handler.on_message(request(5))
    assert not call.is_reading
    service.renewals.waiting[0][1](60)
    assert call.is_reading


def test_slow_client_that_vanished_is_let_go() -> None:
    service, call = Service(), FakeCall(room=1)
    handler = service.open(call)
    handler.on_message(request(5))
    call.closed = True
    service.api.tick()
    assert call.is_reading
    handler.on_close(8)
    service.api.tick()


def test_calls_that_require_a_leader() -> None:
    service = Service()
    loyal, other = FakeCall(metadata={b"hasleader": b"true"}), FakeCall()
    for call in (loyal, other):
        service.open(call)
    service.leader = False
    service.api.cut_leaderless()
    assert loyal.status == (14, "etcdserver: no leader") and other.status is None
    with pytest.raises(NoLeader):
        service.open(FakeCall(metadata={b"hasleader": b"true"}))


def test_every_error_but_a_missing_lease_is_an_error() -> None:
    service, call = Service(), FakeCall()
    service.renewals.is_distant = True
    service.open(call).on_message(request(5))
    service.renewals.waiting[0][1](EtcdError("not a primary lessor"))
    assert call.status == (2, "not a primary lessor")
