"""The queue of reads that wait."""

from __future__ import annotations

from etcdpy.pb.raft_values import Entry, Message
from etcdpy.raft.constants import MSG_READ_INDEX
from etcdpy.raft.read_only import ReadOnly


def request(context: bytes) -> Message:
    return Message(MSG_READ_INDEX, entries=[Entry(data=context)])


def test_order_and_repetition() -> None:
    reads = ReadOnly()
    reads.add(request(b"a"), 5)
    reads.add(request(b"b"), 6)
    reads.add(request(b"a"), 7)

    reads.check_invariants()
    assert reads.newest_context() == b"b"
    assert reads.acknowledge(1, b"a") == {1}
    assert reads.acknowledge(2, b"a") == {1, 2}
    assert reads.acknowledge(2, b"unknown") == set()
    assert reads.take_confirmed(b"unknown") == []
    assert [read.index for read in reads.take_confirmed(b"b")] == [5, 6]
    assert reads.newest_context() == b""
