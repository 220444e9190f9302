"""/leases and /leases/internal. Statuses, texts and bytes are those of a running 3.5.1."""

from __future__ import annotations

import pytest

from etcdpy.api.ops.app import application
from etcdpy.api.ops.bodies import PEER_BODY_BYTES_MAX
from etcdpy.api.ops.peer_leases import lease_routes
from etcdpy.base.errors import EtcdError, LeaseNotFound, TimeoutWaitAppliedIndex
from etcdpy.pb.rpc_pb2 import LeaseTimeToLiveRequest, LeaseTimeToLiveResponse
from etcdpy.state.lease.lessor import NotPrimary
from tests.unit.api.ops.asgi import Reply, call

RENEW_7 = b"\x08\x07"
DESCRIBE_7 = b"\x0a\x02\x08\x07"
DESCRIBE_7_KEYS = b"\x0a\x04\x08\x07\x10\x01"


class Leases:
    def __init__(self, error: EtcdError | None = None) -> None:
        self.error = error

    async def renew(self, lease_id: int) -> int:
        if self.error is not None:
            raise self.error
        return 100

    async def time_to_live(self, request: LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse:
        await self.renew(request.ID)
        keys = [b"c"] if request.keys else []
        return LeaseTimeToLiveResponse(ID=request.ID, TTL=99, grantedTTL=100, keys=keys)


def post(path: str, body: bytes, error: EtcdError | None = None, method: str = "POST") -> Reply:
    return call(application(lease_routes(Leases(error))), path, method=method, body=body)


def test_a_renewal() -> None:
    reply = post("/leases", RENEW_7)

    assert (reply.status, reply.headers["content-type"]) == (200, "application/protobuf")
    assert reply.body.encode("latin-1") == b"\x10\x07\x18\x64", "the id, the time, no header"


def test_what_a_lease_has_left() -> None:
    assert post("/leases/internal", DESCRIBE_7).body == "\x0a\x08\x0a\x00\x10\x07\x18c d"
    assert post("/leases/internal", DESCRIBE_7_KEYS).body == "\x0a\x0b\x0a\x00\x10\x07\x18c d*\x01c"


@pytest.mark.parametrize(("path", "body"), [("/leases", RENEW_7), ("/leases/internal", DESCRIBE_7)])
@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (LeaseNotFound(), 404, "lease not found"),
        (NotPrimary(), 400, "not a primary lessor"),
        (TimeoutWaitAppliedIndex(), 408, "waiting for node to catch up its applied index has timed out"),
    ],
)
def test_refusals(path: str, body: bytes, error: EtcdError, status: int, text: str) -> None:
    reply = post(path, body, error)

    assert (reply.status, reply.body) == (status, text + "\n")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/leases", "/leases/internal"])
def test_what_is_no_request(path: str) -> None:
    assert post(path, b"xyz").body == "error unmarshalling request\n"
    too_long = post(path, b"\x1a" + b"x" * PEER_BODY_BYTES_MAX)
    assert (too_long.status, too_long.body) == (400, "error reading body\n")
    wrong_method = post(path, b"", method="GET")
    assert (wrong_method.status, wrong_method.body) == (405, "Method Not Allowed\n")
    assert "allow" not in wrong_method.headers


def test_an_empty_body_asks_for_lease_0_or_for_nothing() -> None:
    assert post("/leases", b"").body.encode("latin-1") == b"\x18\x64"
    assert post("/leases/internal", b"").status == 400


def test_what_is_not_there() -> None:
    assert post("/leases/other", RENEW_7).status == 404
