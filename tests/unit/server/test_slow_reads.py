"""Reads that took too long are told one by one, in etcd's words, and counted with slow entries."""

from __future__ import annotations

import random

import pytest

from etcdpy.base.errors import FutureRev
from etcdpy.base.varint import encode_varint
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.pb.kv_pb2 import KeyValue
from etcdpy.server.apply_times import ApplyTimes
from etcdpy.server.reads import Read
from etcdpy.server.slow_reads import SlowReads, count_kvs
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.applier import Result
from etcdpy.state.mvcc.answer import Answer
from etcdpy.state.mvcc.range_query import encode_tail
from etcdpy.state.mvcc.txn_plan import read_all
from tests.unit.server.membership_world import Lines, logger_with
from tests.unit.server.test_apply_times import Last


def test_each_read_that_was_answered() -> None:
    lines = Lines()
    times = ApplyTimes({}, Last(), slow_seconds=0.1, log=logger_with(lines))
    txn = pb.TxnRequest(success=[pb.RequestOp(request_range=pb.RangeRequest(key=b"a"))])
    body = pb.RangeResponse(kvs=[{"key": b"a", "value": b"secret"}], count=1).SerializeToString()  # type: ignore[list-item]
    found = pb.ResponseOp(response_range=pb.RangeResponse.FromString(body))
    done = pb.TxnResponse(succeeded=True, responses=[found]).SerializeToString()
    reads = [
        Read(1, kinds.RANGE, pb.RangeRequest(key=b"a")),
        Read(2, kinds.TXN, read_all(txn)),
        Read(3, kinds.RANGE, pb.RangeRequest(key=b"large", range_end=b"\0")),  # goes on in slices
        Read(4, 0, None),
        Read(5, kinds.RANGE, pb.RangeRequest(key=b"b", revision=9)),
    ]
    results: dict[int, Result] = {1: Answer(7, body), 2: Answer(7, done), 4: Answer(7, b""), 5: FutureRev()}
    SlowReads(times, slow_seconds=0.1).tell(reads, results, 0.25)

    assert times.slow_total == 3
    said = [(line["prefix"], line["request"], line["response"], line.get("error")) for line in lines.lines]
    assert said == [
        ("read-only range ", 'key:"a" ', f"range_response_count:1 size:{len(body) + 4}", None),
        (
            "read-only txn ",
            'compare:<> success:<request_range:<key:"a" > > failure:<>',
            f"responses:<range_response_count:1> size:{len(done) + 4}",
            None,
        ),
        ("read-only range ", 'key:"b" revision:9 ', "", "mvcc: required revision is a future revision"),
    ]
    assert {line["took"] for line in lines.lines} == {"250ms"}


@pytest.mark.parametrize("seed", range(5))
def test_kvs_are_counted_without_reading_them(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.choice((0, 1, 3, 200))
    kvs = [KeyValue(key=rng.randbytes(3), value=rng.randbytes(rng.choice((0, 5, 20_000)))) for _ in range(count)]
    body = pb.RangeResponse(kvs=kvs, count=count, more=True).SerializeToString()
    assert count_kvs([body]) == count
    parts = [kv.SerializeToString() for kv in kvs]
    tags = [b"\x12" + encode_varint(len(part)) for part in parts]
    pieces = [piece for pair in zip(tags, parts, strict=True) for piece in pair]
    assert count_kvs([*pieces, encode_tail(count, True)]) == count
