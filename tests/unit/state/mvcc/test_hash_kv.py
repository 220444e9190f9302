"""HashKV. The numbers are those of a running 3.5.1 for the same requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.base.errors import Compacted, FutureRev
from etcdpy.pb.rpc_pb2 import DeleteRangeRequest
from etcdpy.state.mvcc.answer import run_steps
from tests.unit.state.mvcc.store_on_disk import finish_compaction, open_store

HASH_OF_NOTHING = 1084519789


def test_hashes_of_a_short_history(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.put(b"a", b"1")
        assert store.hash_kv(1).hash == HASH_OF_NOTHING
        assert store.hash_kv(-1).hash == HASH_OF_NOTHING
        assert store.hash_kv(2).hash == 2587454935
        assert store.hash_kv().hash_revision == 2
        store.put(b"b", b"2")
        store.put(b"a", b"3")
        store.compact(3)
        finish_compaction(store)
        assert (store.hash_kv(4).hash, store.hash_kv(4).compact_revision) == (1107643163, 3)
        store.apply_delete_range(DeleteRangeRequest(key=b"a", range_end=b"c"))
        assert store.hash_kv().hash == 1223078702


def test_what_cannot_be_hashed(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for _ in range(3):
            store.put(b"a", b"")
        store.compact(3)
        with pytest.raises(Compacted):
            store.hash_kv(2)
        with pytest.raises(FutureRev):
            store.hash_kv(5)
        store.hash_kv(3)


def test_how_far_the_removal_has_come_makes_no_difference(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for _ in range(3):
            for number in range(6):
                store.put(b"%d" % number, b"")
        store.compact(12)
        hashes = {store.hash_kv(15).hash}
        while not store.compact_step(2):
            hashes.add(store.hash_kv(15).hash)
        hashes.add(store.hash_kv(15).hash)

        assert len(hashes) == 1


def test_a_hash_that_compaction_overtakes_starts_anew(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for _ in range(3):
            for number in range(6):
                store.put(b"%d" % number, b"")
        steps = store.hash_steps(slice_records=2)
        next(steps)
        store.compact(12)
        finish_compaction(store)

        assert run_steps(steps) == store.hash_kv()
