"""The KV service on a real node: what is refused before it is proposed, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from etcdpy.pb.rpc_pb2 import (
    CompactionRequest,
    CompactionResponse,
    Compare,
    DeleteRangeRequest,
    DeleteRangeResponse,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    RequestOp,
    TxnRequest,
    TxnResponse,
)
from tests.unit.api.v3.unary_call import Api, open_api
from tests.unit.server.spine import run, until

Choose = Callable[[Api], Callable[[Any], None]]

PUT: Choose = lambda api: api.kv.put  # noqa: E731
RANGE: Choose = lambda api: api.kv.range  # noqa: E731
DELETE: Choose = lambda api: api.kv.delete_range  # noqa: E731
TXN: Choose = lambda api: api.kv.txn  # noqa: E731
COMPACT: Choose = lambda api: api.kv.compact  # noqa: E731


async def put(api: Api, key: bytes = b"a", value: bytes = b"v", **fields: Any) -> PutResponse:
    return await api.ask(api.kv.put, PutRequest(key=key, value=value, **fields), PutResponse)


def put_op(key: bytes) -> RequestOp:
    return RequestOp(request_put=PutRequest(key=key, value=b"v"))


def test_a_put_and_what_it_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            first = await put(api)
            second = await put(api, prev_kv=True)

            assert (first.header.revision, second.header.revision) == (2, 3)
            assert (first.header.cluster_id, first.header.member_id) == (api.node.cluster_id, api.node.member_id)
            assert first.header.raft_term == api.node.member.term == 2
            assert (second.prev_kv.value, second.prev_kv.version) == (b"v", 1)

    run(scenario())


@pytest.mark.parametrize("serializable", [True, False])
def test_a_range(tmp_path: Path, serializable: bool) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            for key in (b"a", b"b", b"c"):
                await put(api, key)
            request = RangeRequest(key=b"a", range_end=b"c", serializable=serializable, limit=1)
            response = await api.ask(api.kv.range, request, RangeResponse)

            assert ([kv.key for kv in response.kvs], response.more, response.count) == ([b"a"], True, 2)
            assert response.header.revision == 4

    run(scenario())


def test_a_delete_tells_what_was_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await put(api, b"a")
            await put(api, b"b")
            request = DeleteRangeRequest(key=b"a", range_end=b"z", prev_kv=True)
            response = await api.ask(api.kv.delete_range, request, DeleteRangeResponse)

            assert (response.deleted, [kv.key for kv in response.prev_kvs]) == (2, [b"a", b"b"])

    run(scenario())


def test_a_transaction_that_writes_goes_through_the_log_one_that_reads_does_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            compare = Compare(key=b"a", target=Compare.VERSION, result=Compare.EQUAL, version=0)
            read = RequestOp(request_range=RangeRequest(key=b"a"))
            writing = TxnRequest(compare=[compare], success=[put_op(b"a"), read], failure=[read])
            first = await api.ask(api.kv.txn, writing, TxnResponse)
            second = await api.ask(api.kv.txn, writing, TxnResponse)
            log_end = api.node.member.last_index
            third = await api.ask(api.kv.txn, TxnRequest(compare=[compare], failure=[read]), TxnResponse)

            assert [first.succeeded, second.succeeded, third.succeeded] == [True, False, False]
            assert [first.header.revision, second.header.revision, third.header.revision] == [2, 2, 2]
            assert api.node.member.last_index == log_end

    run(scenario())


REFUSED: list[tuple[Choose, Message, tuple[int, str]]] = [
    (PUT, PutRequest(), (3, "etcdserver: key is not provided")),
    (PUT, PutRequest(key=b"a", value=b"v", ignore_value=True), (3, "etcdserver: value is provided")),
    (PUT, PutRequest(key=b"a", lease=5, ignore_lease=True), (3, "etcdserver: lease is provided")),
    (PUT, PutRequest(key=b"a", ignore_value=True), (3, "etcdserver: key not found")),
    (PUT, PutRequest(key=b"a", lease=5), (5, "etcdserver: requested lease not found")),
    (PUT, PutRequest(key=b"a", value=bytes(1_572_864)), (3, "etcdserver: request is too large")),
    (RANGE, RangeRequest(), (3, "etcdserver: key is not provided")),
    (RANGE, RangeRequest(key=b"a", revision=9), (11, "etcdserver: mvcc: required revision is a future revision")),
    (RANGE, RangeRequest(key=b"a", sort_target=9), (3, "etcdserver: invalid sort option")),  # type: ignore[arg-type]
    (DELETE, DeleteRangeRequest(), (3, "etcdserver: key is not provided")),
    (
        TXN,
        TxnRequest(success=[put_op(b"%d" % n) for n in range(5)]),
        (3, "etcdserver: too many operations in txn request"),
    ),
    (TXN, TxnRequest(success=[put_op(b"a"), put_op(b"a")]), (3, "etcdserver: duplicate key given in txn request")),
    (TXN, TxnRequest(compare=[Compare()]), (3, "etcdserver: key is not provided")),
    (COMPACT, CompactionRequest(revision=9), (11, "etcdserver: mvcc: required revision is a future revision")),
    (
        COMPACT,
        CompactionRequest(revision=9, physical=True),
        (11, "etcdserver: mvcc: required revision is a future revision"),
    ),
    (COMPACT, CompactionRequest(), (11, "etcdserver: mvcc: required revision has been compacted")),
]


def test_refusals_have_etcds_codes_and_texts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await put(api, b"other")
            await api.ask(api.kv.compact, CompactionRequest(revision=1), CompactionResponse)
            for choose, request, expected in REFUSED:
                assert await api.refusal(choose(api), request) == expected
            assert api.node.store.current_revision == 2

    run(scenario())


@pytest.mark.parametrize("choose", [PUT, RANGE, DELETE, TXN, COMPACT])
def test_bytes_that_are_no_request(tmp_path: Path, choose: Choose) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path, elect=False) as api:
            call = await api.call(choose(api), b"\xff")

            assert call.status is not None and call.status[0] == 13

    run(scenario())


def test_a_compaction_answers_at_once_a_physical_one_when_it_is_done(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path, compaction_batch_limit=1, compaction_sleep_interval_seconds=0.001) as api:
            for _ in range(6):
                await put(api)
            response = await api.ask(api.kv.compact, CompactionRequest(revision=3), CompactionResponse)
            assert response.header.revision == 7
            assert api.node.store.compact_revision == 3
            await until(lambda: not api.node.store.is_compacting)
            await api.ask(api.kv.compact, CompactionRequest(revision=6, physical=True), CompactionResponse)

            assert not api.node.store.is_compacting

    run(scenario())
