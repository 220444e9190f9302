"""What the space quota takes a request to cost: a rule of thumb, but the same one as etcd's."""

from __future__ import annotations

from etcdpy.pb.rpc_pb2 import DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest
from etcdpy.state.apply.cost import KEY_OVERHEAD_BYTES, put_cost, txn_cost
from etcdpy.state.mvcc.txn_plan import read_all, read_request

PUT = PutRequest(key=b"abc", value=b"12345")
PUT_COST = 256 + 3 + 5


def put() -> RequestOp:
    return RequestOp(request_put=PUT)


def nested(request: TxnRequest) -> RequestOp:
    return RequestOp(request_txn=request.SerializeToString())


def cost(request: TxnRequest) -> int:
    unread = txn_cost(read_request(request))
    assert unread == txn_cost(read_all(request)), "whether nested levels were read before makes no difference"
    return unread


def test_a_put_costs_its_bytes_and_the_overhead_of_a_key() -> None:
    assert put_cost(PUT) == PUT_COST
    assert put_cost(PutRequest(key=b"k")) == KEY_OVERHEAD_BYTES + 1


def test_reads_and_deletes_cost_nothing() -> None:
    operations = [
        RequestOp(request_range=RangeRequest(key=b"a")),
        RequestOp(request_delete_range=DeleteRangeRequest(key=b"a")),
    ]
    assert cost(TxnRequest(success=operations, failure=operations)) == 0


def test_a_transaction_costs_its_dearer_branch() -> None:
    assert cost(TxnRequest(success=[put()], failure=[put(), put()])) == 2 * PUT_COST
    assert cost(TxnRequest(success=[put(), put(), put()], failure=[put()])) == 3 * PUT_COST


def test_nested_transactions_count_with_the_branch_that_holds_them() -> None:
    inner = TxnRequest(success=[put()], failure=[put(), put()])
    assert cost(TxnRequest(success=[nested(inner), put()])) == 4 * PUT_COST


def test_depth_is_the_clients_choice() -> None:
    request = TxnRequest(success=[put()])
    for _ in range(100):
        request = TxnRequest(success=[put(), nested(request)])
    assert cost(request) == 101 * PUT_COST
