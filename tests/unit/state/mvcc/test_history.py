"""The history in pieces: no revision is torn apart."""

from __future__ import annotations

from pathlib import Path

from etcdpy.pb.rpc_pb2 import PutRequest, RequestOp, TxnRequest
from tests.unit.state.mvcc.store_on_disk import open_store


def test_pieces_end_between_revisions(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for _ in range(3):
            puts = [RequestOp(request_put=PutRequest(key=b"%d" % number)) for number in range(3)]
            store.apply_txn(TxnRequest(success=puts))

        assert [len(part) for part in pieces(store.changes_between, 2, 5, 4)] == [3, 3, 3]
        assert [len(part) for part in pieces(store.changes_between, 2, 5, 1)] == [3, 3, 3]
        assert [len(part) for part in pieces(store.changes_between, 2, 5, 6)] == [6, 3]
        assert store.changes_between(5, 5) == ([], 5)


def pieces(read: object, start: int, end: int, limit: int) -> list[list[object]]:
    found = []
    while start < end:
        changes, start = read(start, end, limit)  # type: ignore[operator]
        found.append(changes)
    return found
