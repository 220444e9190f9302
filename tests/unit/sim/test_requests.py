"""Requests become what the service takes; its bytes become tuples that compare."""

from __future__ import annotations

from etcdpy.base.errors import Compacted
from etcdpy.pb import rpc_pb2
from etcdpy.pb.kv_pb2 import KeyValue
from etcdpy.sim.requests import ALL_KEYS, VALUE, Compact, Compare, Delete, Put, Range, Txn, read_answer, to_proposal
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.mvcc.answer import Answer

KV = KeyValue(key=b"k", value=b"v", create_revision=2, mod_revision=3, version=2)


def test_simple_requests_become_their_messages() -> None:
    assert to_proposal(Put(b"k", b"v")) == (kinds.PUT, rpc_pb2.PutRequest(key=b"k", value=b"v"))
    assert to_proposal(Delete(b"k", ALL_KEYS)) == (
        kinds.DELETE_RANGE,
        rpc_pb2.DeleteRangeRequest(key=b"k", range_end=b"\0"),
    )
    assert to_proposal(Range(b"k", revision=7, is_serializable=True)) == (
        kinds.RANGE,
        rpc_pb2.RangeRequest(key=b"k", revision=7, serializable=True),
    )
    assert to_proposal(Compact(4)) == (kinds.COMPACTION, rpc_pb2.CompactionRequest(revision=4))


def test_a_transaction_keeps_its_parts_in_order() -> None:
    kind, message = to_proposal(Txn((Compare(b"k", VALUE, b"v"),), (Put(b"a", b"1"), Range(b"b")), (Delete(b"a"),)))

    assert kind == kinds.TXN
    assert message.compare[0].value == b"v" and message.compare[0].result == rpc_pb2.Compare.EQUAL
    assert [op.WhichOneof("request") for op in message.success] == ["request_put", "request_range"]
    assert [op.WhichOneof("request") for op in message.failure] == ["request_delete_range"]


def test_answers_are_read_back() -> None:
    found = rpc_pb2.RangeResponse(kvs=[KV], count=1)
    txn = rpc_pb2.TxnResponse(succeeded=True)
    txn.responses.add().response_put.SetInParent()
    txn.responses.add().response_range.CopyFrom(found)

    item = (b"k", b"v", 2, 3, 2)
    assert read_answer(Put(b"k", b"v"), Answer(3, b"")) == ("ok",)
    assert read_answer(Range(b"k"), Answer(3, found.SerializeToString())) == ("found", (item,))
    assert read_answer(Delete(b"k"), Answer(3, rpc_pb2.DeleteRangeResponse(deleted=2).SerializeToString())) == (
        "deleted",
        2,
    )
    assert read_answer(Txn((), (), ()), Answer(3, txn.SerializeToString())) == (
        "txn",
        True,
        (("ok",), ("found", (item,))),
    )
    assert read_answer(Compact(3), Compacted()) == ("error", "Compacted")
