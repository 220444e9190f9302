"""Limits on requests, at the very byte and number where the real etcd 3.5.1 refuses: size and operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Client, run_on_both
from tests.reference import RunningEtcd

pytestmark = pytest.mark.slow

REQUEST_BYTES: Final = 2000
# What gRPC takes beyond that; what it says of more is its own text.
OVERHEAD_BYTES: Final = 512 * 1024


def put_op(number: int) -> pb.RequestOp:
    return pb.RequestOp(request_put=pb.PutRequest(key=b"k%d" % number))


def txn(success: int, *, failure: int = 0, compares: int = 0, nested: pb.TxnRequest | None = None) -> pb.TxnRequest:
    request = pb.TxnRequest(
        compare=[pb.Compare(key=b"a")] * compares,
        success=[put_op(number) for number in range(success)],
        failure=[put_op(number) for number in range(failure)],
    )
    if nested is not None:
        request.success.append(pb.RequestOp(request_txn=nested.SerializeToString()))
    return request


TXNS: Final = [
    *(txn(count) for count in (2, 3, 4)),
    txn(1, failure=4),
    txn(1, compares=3),
    txn(1, compares=4),
    txn(1, nested=txn(2)),
    txn(2, nested=txn(1)),
    txn(0, nested=txn(3)),
    txn(2, nested=txn(2)),
]


def test_operations_of_a_transaction(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[tuple[int, str]]:
        with Client(server.endpoint) as client:
            return [client.status("KV/Txn", request.SerializeToString()) for request in TXNS]

    both = run_on_both(tmp_path, script, flags=["--max-txn-ops=3"])
    assert both.ours == both.theirs
    assert (3, "etcdserver: too many operations in txn request") in both.ours and (0, "") in both.ours


def test_the_size_of_a_request(tmp_path: Path) -> None:
    """Counted is the entry as it stands in the log, with a header whose size depends on the id: not the last bytes."""
    sizes = [*range(REQUEST_BYTES - 80, REQUEST_BYTES - 40, 8), REQUEST_BYTES - 20, REQUEST_BYTES, REQUEST_BYTES + 100]
    large = [REQUEST_BYTES + OVERHEAD_BYTES - 10, REQUEST_BYTES + OVERHEAD_BYTES + 10]

    def script(server: RunningEtcd) -> list[Any]:
        with Client(server.endpoint) as client:
            seen: list[Any] = []
            for size in (*sizes, *large):
                request = pb.PutRequest(key=b"k", value=b"x" * size)
                seen.append((size, client.status("KV/Put", request.SerializeToString())))
            wide = pb.RangeRequest(key=b"k" * (REQUEST_BYTES + 500))  # what is not proposed has no such limit
            seen.append(client.status("KV/Range", wide.SerializeToString()))
            seen.append(client.status("KV/Put", pb.PutRequest(key=b"k").SerializeToString()))
            return seen

    both = run_on_both(tmp_path, script, flags=[f"--max-request-bytes={REQUEST_BYTES}"])
    assert both.ours == both.theirs
    texts = {status[1] for _, status in both.ours[:-2]}
    assert "etcdserver: request is too large" in texts and "" in texts
    assert any("received message larger than max" in text for text in texts)
