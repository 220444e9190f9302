"""Durations of apply by kind and outcome, and what counts as slow."""

from __future__ import annotations

import json

from etcdpy.base.log import close_logger, logger_to, silent_logger
from etcdpy.pb import raft_internal_pb2
from etcdpy.server.apply_times import OPERATIONS, ApplyTimes
from etcdpy.server.metrics_source import Histograms
from etcdpy.state.apply import proposal as kinds


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


def test_what_is_slow_is_counted_and_told() -> None:
    class Lines:
        def __init__(self) -> None:
            self.lines: list[bytes] = []

        def write(self, line: bytes) -> None:
            self.lines.append(line)

        def close(self) -> None:
            pass

    lines = Lines()
    log = logger_to(lines)
    times = ApplyTimes({}, Last(), slow_seconds=0.1, log=log)
    times.add(kinds.TXN, b"", True, 0.1)
    times.add(kinds.TXN, b"", True, 0.25)
    close_logger(log)

    assert times.slow_total == 1
    (line,) = [json.loads(line) for line in lines.lines]
    assert (line["msg"], line["took"], line["expected-duration"]) == ("apply request took too long", "250ms", "100ms")


def test_every_kind_of_request_has_a_name() -> None:
    numbers = {field.number for field in raft_internal_pb2.InternalRaftRequest.DESCRIPTOR.fields}
    unnamed = numbers - set(OPERATIONS)

    header, request_id, downgrade_test = 100, 1, 9900
    assert unnamed == {header, request_id, kinds.V2, downgrade_test}
