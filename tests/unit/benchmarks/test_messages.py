"""The prepared bytes are the requests that they are taken for."""

from __future__ import annotations

from benchmarks import messages
from etcdpy.pb import rpc_pb2


def test_distinct_puts_are_puts_of_distinct_keys() -> None:
    puts = [rpc_pb2.PutRequest.FromString(raw) for raw in messages.distinct_puts(5, 1000)]

    assert len({put.key for put in puts}) == 1000
    assert {len(put.key) for put in puts} == {8}
    assert {len(put.value) for put in puts} == {256}
    assert puts[0].key == messages.distinct_key(5)


def test_a_transaction_puts_the_keys_asked_for() -> None:
    txn = rpc_pb2.TxnRequest.FromString(messages.put_many(200, 100))

    assert [op.request_put.key for op in txn.success] == [messages.distinct_key(number) for number in range(200, 300)]
    assert not txn.compare


def test_the_mark_stands_once_in_a_value() -> None:
    """Events are counted by it."""
    assert messages.put().count(messages.EVENT_MARK) == 1


def test_a_body_is_framed_for_grpc() -> None:
    assert messages.framed(b"abc") == b"\0\0\0\0\x03abc"
