"""What a learner, a member without a leader, and a failed one refuse; and that nothing is in the way of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from etcdpy.api.v3.gates import Gates
from etcdpy.base.errors import EtcdError
from etcdpy.pb import rpc_pb2
from etcdpy.transport.http2._nghttp2 import StreamMethod, UnaryMethod
from tests.unit.api.v3.fake_call import FakeCall

LEARNER_REFUSED = (14, "etcdserver: rpc not supported for learner")
NO_LEADER = (14, "etcdserver: no leader")
STOPPED = (14, "etcdserver: server stopped")
RANGE, PUT, STATUS = b"/etcdserverpb.KV/Range", b"/etcdserverpb.KV/Put", b"/etcdserverpb.Maintenance/Status"
HASH, MEMBERS = b"/etcdserverpb.Maintenance/Hash", b"/etcdserverpb.Cluster/MemberList"
WATCH, SNAPSHOT = b"/etcdserverpb.Watch/Watch", b"/etcdserverpb.Maintenance/Snapshot"
SERIALIZABLE = rpc_pb2.RangeRequest(key=b"a", serializable=True).SerializeToString()
LINEARIZABLE = rpc_pb2.RangeRequest(key=b"a").SerializeToString()
NO_MESSAGE = b"\xff\xff\xff"


@dataclass
class Standing:
    is_learner: bool = False
    leader_id: int = 7


class Served:
    """Real methods, whose handlers note who came through."""

    def __init__(self, standing: Standing) -> None:
        self.through: list[bytes] = []
        self.methods: dict[bytes, UnaryMethod | StreamMethod] = {
            path: UnaryMethod(self._take(path)) for path in (RANGE, PUT, STATUS, HASH, MEMBERS)
        }
        self.methods |= {path: StreamMethod(self._take(path)) for path in (WATCH, SNAPSHOT)}
        self.plain = {path: method.handler for path, method in self.methods.items()}
        self.gates = Gates(self.methods, standing)
        self.gates.refresh()

    def _take(self, path: bytes) -> Callable[[Any], Any]:
        def handle(call: Any) -> Any:
            self.through.append(path)

        return handle

    def call(self, path: bytes, message: bytes = b"", *, has_leader: bytes | None = None) -> Any:
        """Return None where the handler got it, else the status."""
        call = FakeCall(metadata={} if has_leader is None else {b"hasleader": has_leader})
        call.message = message
        count = len(self.through)
        try:
            self.methods[path].handler(call)
        except EtcdError as error:
            return error.code, error.text
        assert (len(self.through) > count) != (call.status is not None), "either served or refused"
        return call.status

    @property
    def is_open(self) -> bool:
        return all(method.handler is self.plain[path] for path, method in self.methods.items())


def test_a_voter_with_a_leader_has_no_guard() -> None:
    served = Served(Standing())

    assert served.is_open
    assert served.call(PUT, has_leader=b"true") is None


def test_a_learner_serves_serializable_ranges_status_and_snapshots() -> None:
    served = Served(Standing(is_learner=True))

    assert served.call(RANGE, SERIALIZABLE) is None
    assert served.call(STATUS) is None
    assert served.call(SNAPSHOT) is None
    assert served.through == [RANGE, STATUS, SNAPSHOT]


@pytest.mark.parametrize("path", [PUT, HASH, MEMBERS, WATCH])
def test_a_learner_refuses_the_rest(path: bytes) -> None:
    served = Served(Standing(is_learner=True))

    assert served.call(path) == LEARNER_REFUSED
    assert served.through == []


def test_a_learner_refuses_linearizable_ranges() -> None:
    assert Served(Standing(is_learner=True)).call(RANGE, LINEARIZABLE) == LEARNER_REFUSED


def test_a_range_that_is_none_is_the_handler_s_to_refuse() -> None:
    """It knows what is wrong with the message; here it must only not be an accident."""
    assert Served(Standing(is_learner=True)).call(RANGE, NO_MESSAGE) is None


def test_without_a_leader_those_who_ask_for_one_are_told() -> None:
    served = Served(Standing(leader_id=0))

    assert served.call(PUT, has_leader=b"true") == NO_LEADER
    assert served.call(RANGE, SERIALIZABLE, has_leader=b"true") == NO_LEADER
    assert served.call(PUT) is None and served.call(PUT, has_leader=b"false") is None
    assert served.call(WATCH, has_leader=b"true") is None, "streams look for a leader themselves"


def test_a_learner_without_a_leader_is_a_learner_first() -> None:
    served = Served(Standing(is_learner=True, leader_id=0))

    assert served.call(PUT, has_leader=b"true") == LEARNER_REFUSED
    assert served.call(RANGE, SERIALIZABLE, has_leader=b"true") == NO_LEADER


def test_gates_open_and_close_as_the_member_s_standing_changes() -> None:
    standing = Standing(is_learner=True)
    served = Served(standing)
    standing.is_learner = False
    assert served.call(PUT) is None, "a guard that is still there asks anew"
    served.gates.refresh()
    assert served.is_open

    standing.leader_id = 0
    served.gates.refresh()
    assert not served.is_open and served.call(PUT, has_leader=b"true") == NO_LEADER
    standing.leader_id = 8
    served.gates.refresh()
    served.gates.refresh()
    assert served.is_open


def test_a_failed_member_refuses_everything_for_good() -> None:
    standing = Standing()
    served = Served(standing)
    served.gates.shut()
    standing.leader_id = 0
    served.gates.refresh()  # a failed member still loses its leader

    for path in served.methods:
        assert served.call(path, SERIALIZABLE) == STOPPED
    assert served.through == []
