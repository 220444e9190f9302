"""Durations of apply by kind and outcome, and what counts as slow."""

from __future__ import annotations

from etcdpy.base.errors import Compacted, LeaseNotFound
from etcdpy.base.log import silent_logger
from etcdpy.pb import raft_internal_pb2
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.pb.raft_values import Entry
from etcdpy.server.apply_times import OPERATIONS, ApplyTimes
from etcdpy.server.metrics_source import Histograms
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.proposal import InternalEncoder
from etcdpy.state.mvcc.answer import Answer
from tests.unit.server.membership_world import Lines, logger_with


class Last:
    applied_kind = kinds.PUT
    applied_method = b""


def test_each_kind_and_outcome_has_a_child_of_its_own() -> None:
    shown: Histograms = {}
    times = ApplyTimes(shown, Last(), slow_seconds=1, log=silent_logger())
    times.note(True, 0.5)
    times.add(kinds.PUT, b"GET", True, 0.25)
    times.add(kinds.PUT, b"", False, 0.25)
    times.add(kinds.V2, b"PUT", True, 0.25)
    times.add(kinds.V2, b"QGET", True, 0.25)
    times.add(0, b"", True, 0.25)

    assert {labels: (histogram.count, histogram.sum) for labels, histogram in shown.items()} == {
        ("v3", "Put", "true"): (2, 0.75),
        ("v3", "Put", "false"): (1, 0.25),
        ("v2", "PUT", "true"): (1, 0.25),
        ("v2", "QGET", "true"): (1, 0.25),
    }


def put_entry() -> Entry:
    request = pb.PutRequest(key=b"k", value=b"secret")
    return Entry(1, 1, 0, InternalEncoder().encode(kinds.PUT, 1 << 60, request.SerializeToString()))


def test_what_is_slow_is_counted_and_told() -> None:
    lines = Lines()
    times = ApplyTimes({}, Last(), slow_seconds=0.1, log=logger_with(lines))
    assert not times.note(True, 0.1)
    assert times.note(True, 0.25)
    times.tell(put_entry(), Answer(300, b"1234"), 0.25)

    assert times.slow_total == 1
    assert lines.lines == [
        {
            "level": "warn",
            "msg": "apply request took too long",
            "took": "250ms",
            "expected-duration": "100ms",
            "prefix": "",
            "request": 'header:<ID:1152921504606846976 > put:<key:"k" value_size:6 >',
            "response": "size:9",
        }
    ]


def test_what_failed_is_told_and_not_counted_as_slow() -> None:
    lines = Lines()
    times = ApplyTimes({}, Last(), slow_seconds=0.1, log=logger_with(lines))
    assert times.note(False, 0.01)
    times.tell(put_entry(), LeaseNotFound(), 0.01)
    times.tell(put_entry(), Compacted(), 0.01)  # whoever compacts twice has done nothing wrong
    times.tell(put_entry(), LeaseNotFound(), 0.2)

    assert times.slow_total == 1
    assert [(line["msg"], line["error"]) for line in lines.lines] == [
        ("failed to apply request", "etcdserver: requested lease not found"),
        ("apply request took too long", "etcdserver: requested lease not found"),
        ("failed to apply request", "etcdserver: requested lease not found"),
    ]


def test_an_entry_without_a_request_is_not_told() -> None:
    class Nothing:
        applied_kind = 0
        applied_method = b""

    lines = Lines()
    ApplyTimes({}, Nothing(), slow_seconds=0.1, log=logger_with(lines)).tell(Entry(1, 1, 0, b""), None, 9)
    assert lines.lines == []


def test_every_kind_of_request_has_a_name() -> None:
    numbers = {field.number for field in raft_internal_pb2.InternalRaftRequest.DESCRIPTOR.fields}
    unnamed = numbers - set(OPERATIONS)

    header, request_id, downgrade_test = 100, 1, 9900
    assert unnamed == {header, request_id, kinds.V2, downgrade_test}
