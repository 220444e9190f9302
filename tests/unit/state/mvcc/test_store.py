"""The store, request by request. Answers of a running 3.5.1 are what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.base.errors import Compacted, EtcdError, FutureRev, KeyNotFound, LeaseNotFound
from etcdpy.pb.rpc_pb2 import (
    CompactionRequest,
    Compare,
    DeleteRangeRequest,
    DeleteRangeResponse,
    PutRequest,
    RangeRequest,
    RangeResponse,
    RequestOp,
    TxnRequest,
    TxnResponse,
)
from etcdpy.state.mvcc.answer import run_steps
from etcdpy.state.mvcc.store import Store
from tests.unit.state.mvcc.store_on_disk import Leases, finish_compaction, open_store, read


def txn_putting_and_reading_at(revision: int) -> TxnRequest:
    put = RequestOp(request_put=PutRequest(key=b"b", value=b"1"))
    return TxnRequest(success=[put, RequestOp(request_range=RangeRequest(key=b"a", revision=revision))])


def test_an_empty_store_is_at_revision_one(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        assert (store.current_revision, store.compact_revision) == (1, -1)
        assert store.apply_delete_range(DeleteRangeRequest(key=b"a")).revision == 1
        assert store.get(b"a").body == b""


def test_every_put_is_a_revision_that_stays_readable(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        assert [store.put(b"a", value).revision for value in (b"1", b"2")] == [2, 3]

        assert read(store, b"a") == [(b"a", b"2")]
        assert read(store, b"a", revision=2) == [(b"a", b"1")]
        assert read(store, b"a", revision=1) == []
        with pytest.raises(FutureRev):
            read(store, b"a", revision=4)


def test_put_options(tmp_path: Path) -> None:
    with open_store(tmp_path, Leases(7)) as store:
        with pytest.raises(KeyNotFound):
            store.apply_put(PutRequest(key=b"a", ignore_value=True))
        with pytest.raises(LeaseNotFound):
            store.apply_put(PutRequest(key=b"a", ignore_value=True, lease=8))
        store.put(b"a", b"1", 7)
        store.apply_put(PutRequest(key=b"a", ignore_value=True, ignore_lease=True))

        body = store.apply_put(PutRequest(key=b"a", value=b"2", prev_kv=True)).body
        previous = RangeResponse.FromString(body).kvs[0]

        assert (previous.value, previous.lease, previous.version, previous.mod_revision) == (b"1", 7, 2, 3)
        assert store.lease_of(b"a") == 0


def test_keys_move_between_leases(tmp_path: Path) -> None:
    leases = Leases(7, 8)
    with open_store(tmp_path, leases) as store:
        store.put(b"a", b"", 7)
        store.put(b"b", b"", 7)
        store.put(b"a", b"", 8)
        store.apply_delete_range(DeleteRangeRequest(key=b"b"))

        assert leases.keys == {7: set(), 8: {b"a"}}
        assert store.lease_attachments() == [(8, b"a")]


def test_revoking_deletes_in_one_revision(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.put(b"a", b"1")
        store.put(b"b", b"1")
        store.record_changes = True

        assert store.delete_keys([b"a", b"b", b"gone"]).revision == 4
        assert store.delete_keys([b"a"]).revision == 4

        assert [(change.key, change.revision) for change in store.take_changes()] == [(b"a", 4), (b"b", 4)]


def test_deleting_a_range_gives_what_was_there(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for key in (b"a", b"b", b"c"):
            store.put(key, key)

        answer = store.apply_delete_range(DeleteRangeRequest(key=b"b", range_end=b"\0", prev_kv=True))
        response = DeleteRangeResponse.FromString(answer.body)

        assert (answer.revision, response.deleted) == (5, 2)
        assert [kv.value for kv in response.prev_kvs] == [b"b", b"c"]
        assert read(store, b"a", b"\0") == [(b"a", b"a")]
        assert read(store, b"a", b"\0", revision=4) == [(b"a", b"a"), (b"b", b"b"), (b"c", b"c")]


@pytest.mark.parametrize(("revision", "error"), [(100, FutureRev), (2, Compacted), (-5, Compacted)])
def test_a_txn_that_cannot_read_writes_nothing(tmp_path: Path, revision: int, error: type[EtcdError]) -> None:
    with open_store(tmp_path) as store:
        for _ in range(3):
            store.put(b"a", b"1")
        store.compact(3)

        with pytest.raises(error):
            store.apply_txn(txn_putting_and_reading_at(revision))

        assert store.current_revision == 4 and read(store, b"b") == []


def test_reads_inside_a_txn_see_its_writes_unless_they_ask_for_the_past(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.put(b"a", b"1")
        request = TxnRequest(
            success=[
                RequestOp(request_range=RangeRequest(key=b"a")),
                RequestOp(request_put=PutRequest(key=b"a", value=b"2")),
                RequestOp(request_range=RangeRequest(key=b"a")),
                RequestOp(request_range=RangeRequest(key=b"a", revision=2)),
            ]
        )

        responses = TxnResponse.FromString(store.apply_txn(request).body).responses
        reads = [op.response_range for op in responses if op.HasField("response_range")]

        assert [(r.header.revision, r.kvs[0].value) for r in reads] == [(2, b"1"), (3, b"2"), (3, b"1")]


def test_nested_compares_see_the_state_before_the_txn(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        inner = TxnRequest(
            compare=[Compare(key=b"a", target=Compare.VERSION, version=1)],
            success=[RequestOp(request_put=PutRequest(key=b"then"))],
            failure=[RequestOp(request_put=PutRequest(key=b"else"))],
        )
        outer = TxnRequest(
            success=[
                RequestOp(request_put=PutRequest(key=b"a")),
                RequestOp(request_txn=inner.SerializeToString()),
            ]
        )

        answer = store.apply_txn(outer)

        assert answer.body == b'\x10\x01\x1a\x06\x12\x04\n\x02\x18\x02\x1a\x0c"\n\n\x00\x1a\x06\x12\x04\n\x02\x18\x02'
        assert read(store, b"a", b"\0") == [(b"a", b""), (b"else", b"")]


def test_a_txn_of_any_depth_runs(tmp_path: Path) -> None:
    request = TxnRequest(success=[RequestOp(request_put=PutRequest(key=b"deep"))])
    for _ in range(2000):
        request = TxnRequest(success=[RequestOp(request_txn=request.SerializeToString())])
    with open_store(tmp_path) as store:
        assert store.apply_txn(request).revision == 2
        assert read(store, b"deep") == [(b"deep", b"")]


def test_ignore_value_on_a_key_that_the_same_txn_deleted_does_not_stop_the_member(tmp_path: Path) -> None:
    request = TxnRequest(
        success=[
            RequestOp(request_delete_range=DeleteRangeRequest(key=b"a", range_end=b"\0")),
            RequestOp(request_put=PutRequest(key=b"b", ignore_value=True)),
        ]
    )
    with open_store(tmp_path) as store:
        store.put(b"b", b"1")
        store.apply_txn(request)
        assert read(store, b"b") == [(b"b", b"")]


def test_compaction_refuses_what_etcd_refuses(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.put(b"a", b"1")
        store.put(b"a", b"2")
        with pytest.raises(FutureRev):
            store.compact(4)
        store.apply_compaction(CompactionRequest(revision=3))
        with pytest.raises(Compacted):
            store.compact(3)
        assert read(store, b"a", revision=3) == [(b"a", b"2")]
        with pytest.raises(Compacted):
            read(store, b"a", revision=2)
        assert store.is_compacting
        finish_compaction(store)
        assert not store.is_compacting
        assert store.counters.compacted_keys == 1


def test_a_sliced_range_reads_as_of_its_beginning(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for number in range(10):
            store.put(b"%d" % number, b"old")
        steps = store.range_steps(RangeRequest(key=b"\0", range_end=b"\0", sort_target=RangeRequest.MOD), slice_kvs=3)
        next(steps)
        store.put(b"9", b"new")
        store.put(b"99", b"new")
        store.apply_delete_range(DeleteRangeRequest(key=b"5"))

        answer = run_steps(steps)
        response = RangeResponse.FromString(answer.body)

        assert (answer.revision, response.count) == (11, 10)
        assert {kv.value for kv in response.kvs} == {b"old"}


def test_a_sliced_range_is_told_when_compaction_overtakes_it(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for _ in range(2):
            for number in range(10):
                store.put(b"%d" % number, b"")
        steps = store.range_steps(RangeRequest(key=b"\0", range_end=b"\0", revision=11), slice_kvs=3)
        for _ in range(6):
            next(steps)  # the walk is over, records are being read
        store.compact(20)
        finish_compaction(store)

        with pytest.raises(Compacted):
            run_steps(steps)


def test_which_ranges_are_worth_slicing(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for number in range(2500):
            store.put(b"%04d" % number, b"")
        everything = RangeRequest(key=b"0", range_end=b"\0")

        assert store.is_large(everything)
        assert not store.is_large(RangeRequest(key=b"0"))
        assert not store.is_large(RangeRequest(key=b"0", range_end=b"1"))
        assert not store.is_large(RangeRequest(key=b"0", range_end=b"\0", limit=10))
        assert store.is_large(RangeRequest(key=b"0", range_end=b"\0", limit=10, revision=5))
        assert not store.is_large(RangeRequest(key=b"0", range_end=b"\0", count_only=True))


def test_changes_are_kept_only_when_somebody_wants_them(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.put(b"a", b"1")
        assert store.take_changes() == []
        store.record_changes = True
        store.put(b"a", b"2")
        assert [change.kv_bytes for change in store.take_changes()] == [store.get_kv_at(b"a", 3)]
        assert store.take_changes() == []


def test_counters_count(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.put(b"a", b"1")
        store.get(b"a")
        store.apply_txn(txn_putting_and_reading_at(0))
        store.apply_delete_range(DeleteRangeRequest(key=b"a"))
        counters = store.counters

        assert (counters.puts, counters.ranges, counters.deletes, counters.txns) == (2, 2, 1, 1)
        assert (store.keys_total, counters.put_bytes > 0) == (1, True)

        with pytest.raises(FutureRev):
            store.range_if_small(RangeRequest(key=b"a", range_end=b"b", revision=99))
        assert counters.ranges == 3, "etcd counts those that fail, too"


def is_restored_like(store: Store) -> bool:
    other = Store(store.backend)
    other.restore()
    return other.index.histories == store.index.histories and other.current_revision == store.current_revision


def test_reading_back_gives_the_same_index(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for key in (b"a", b"b", b"a", b"a"):
            store.put(key, b"")
        store.apply_delete_range(DeleteRangeRequest(key=b"b"))
        store.put(b"b", b"")
        assert is_restored_like(store)
        store.compact(6)
        finish_compaction(store)
        assert is_restored_like(store)
