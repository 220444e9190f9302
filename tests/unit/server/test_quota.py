"""The space quota: from which byte on nothing more is taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etcdpy.pb.rpc_pb2 import (
    AlarmRequest,
    CompactionRequest,
    DeleteRangeRequest,
    LeaseGrantRequest,
    LeaseRevokeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)
from etcdpy.server.quota import QUOTA_BYTES_DEFAULT, Quota
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.cost import LEASE_COST_BYTES, put_cost, txn_cost
from etcdpy.state.mvcc.txn_plan import TxnPlan, read_all
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets

PUT = PutRequest(key=b"k", value=bytes(1000))
PUT_TXN = read_all(TxnRequest(success=[RequestOp(request_put=PUT), RequestOp(request_put=PUT)]))


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = Backend.open(tmp_path)
    yield backend
    backend.close()


def quota_with_room(backend: Backend, room_bytes: int) -> Quota:
    return Quota(backend, backend.size_bytes() + room_bytes)


def has_room(quota: Quota, kind: int, request: Any) -> bool:
    """Ask with the size of the request's bytes; of a transaction taken apart that is not smaller than its cost here."""
    size = 2 * len(PUT.SerializeToString()) if isinstance(request, TxnPlan) else len(request.SerializeToString())
    return quota.has_room_for(kind, request, size)


def test_zero_is_the_default_and_less_is_none(backend: Backend) -> None:
    assert Quota(backend, 0).limit_bytes == QUOTA_BYTES_DEFAULT == 2 * 1024**3
    assert Quota(backend, -1).limit_bytes is None
    assert Quota(backend, 5).limit_bytes == 5


@pytest.mark.parametrize(
    ("kind", "request_", "cost"),
    [
        (kinds.PUT, PUT, put_cost(PUT)),
        (kinds.TXN, PUT_TXN, 2 * put_cost(PUT)),
        (kinds.LEASE_GRANT, LeaseGrantRequest(ID=1, TTL=1), LEASE_COST_BYTES),
    ],
)
def test_the_limit_itself_is_too_much(backend: Backend, kind: int, request_: object, cost: int) -> None:
    assert not has_room(quota_with_room(backend, cost), kind, request_)
    assert has_room(quota_with_room(backend, cost + 1), kind, request_)


@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        (kinds.RANGE, RangeRequest(key=b"a")),
        (kinds.DELETE_RANGE, DeleteRangeRequest(key=b"a")),
        (kinds.COMPACTION, CompactionRequest(revision=1)),
        (kinds.ALARM, AlarmRequest(memberID=1)),
        (kinds.LEASE_REVOKE, LeaseRevokeRequest(ID=1)),
    ],
)
def test_what_makes_room_or_only_reads_always_passes(backend: Backend, kind: int, request_: object) -> None:
    assert has_room(Quota(backend, 1), kind, request_)


def test_a_transaction_that_only_reads_or_deletes_passes_a_full_database(backend: Backend) -> None:
    """As in etcd since 3.5.7; before, deleting by transactions was refused when it was needed most."""
    read = RequestOp(request_range=RangeRequest(key=b"a"))
    delete = RequestOp(request_delete_range=DeleteRangeRequest(key=b"a"))

    assert has_room(Quota(backend, 1), kinds.TXN, read_all(TxnRequest(success=[read, delete])))
    assert not has_room(Quota(backend, 1), kinds.TXN, read_all(TxnRequest(success=[read, RequestOp(request_put=PUT)])))


def test_without_a_quota_everything_passes(backend: Backend) -> None:
    assert has_room(Quota(backend, -1), kinds.PUT, PUT)


def test_what_waits_to_be_written_counts(backend: Backend) -> None:
    quota = quota_with_room(backend, 2000)
    assert has_room(quota, kinds.PUT, PUT)
    backend.put(buckets.KEY, b"k", bytes(1000))
    backend.end_entry(1, 1)

    assert not has_room(quota, kinds.PUT, PUT)


@pytest.mark.parametrize("value_bytes", [1, 1000, 40_000])
def test_what_is_let_through_far_from_the_limit_never_passes_it(backend: Backend, value_bytes: int) -> None:
    """Not every request looks at the database; but none gets through that a look would have refused."""
    quota = quota_with_room(backend, 1_000_000)
    assert quota.limit_bytes is not None
    taken = 0
    while True:
        request = PutRequest(key=b"%08d" % taken, value=bytes(value_bytes))
        would_fit = backend.size_bytes() + put_cost(request) < quota.limit_bytes
        if not has_room(quota, kinds.PUT, request):
            break
        assert would_fit
        backend.put(buckets.KEY, request.key, request.value)
        taken += 1
        backend.end_entry(taken, 1)

    assert not would_fit, "refused no earlier than needed"
    assert taken > 10


def test_transactions_of_the_dearest_kind_never_pass_the_limit(backend: Backend) -> None:
    """An empty put takes four bytes and costs 256 more."""
    quota = quota_with_room(backend, 200_000)
    assert quota.limit_bytes is not None
    request = TxnRequest(success=[RequestOp(request_put=PutRequest())] * 128)
    plan, size = read_all(request), len(request.SerializeToString())
    spent = 0
    while quota.has_room_for(kinds.TXN, plan, size):
        spent += txn_cost(plan)
        backend.put(buckets.KEY, b"%08d" % spent, bytes(txn_cost(plan)))
        backend.end_entry(spent, 1)
        assert spent < 200_000

    assert backend.size_bytes() + txn_cost(plan) >= quota.limit_bytes
