"""The hashes of the last compactions, which the leader compares with its peers'."""

from __future__ import annotations

from pathlib import Path

from etcdpy.pb.rpc_pb2 import DeleteRangeRequest
from etcdpy.state.mvcc.compaction_hashes import KEPT_MAX
from etcdpy.state.mvcc.store import Store
from tests.unit.state.mvcc.store_on_disk import finish_compaction, open_store


def write_history(store: Store) -> None:
    for round_number in range(4):
        for number in range(6):
            store.put(b"%d" % number, b"%d" % round_number)
        store.apply_delete_range(DeleteRangeRequest(key=b"2"))


def test_it_is_the_hash_that_the_history_had_before_anything_was_removed(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.are_compactions_hashed = True
        write_history(store)
        before = store.hash_kv(15)
        store.compact(15)
        finish_compaction(store)
        kept = store.compaction.hashes.list_newest_first()

        assert [(one.hash_revision, one.compact_revision, one.hash) for one in kept] == [(15, -1, before.hash)]


def test_the_next_one_starts_from_the_last(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.are_compactions_hashed = True
        write_history(store)
        store.compact(9)
        finish_compaction(store)
        before = store.hash_kv(20)
        store.compact(20)
        finish_compaction(store)
        newest = store.compaction.hashes.list_newest_first()[0]

        assert (newest.hash_revision, newest.compact_revision, newest.hash) == (20, 9, before.hash)
        assert before.compact_revision == 9


def test_compactions_that_come_while_one_runs_have_their_hashes_too(tmp_path: Path) -> None:
    with open_store(tmp_path) as one, open_store(tmp_path / "other") as other:
        for store, steps_between in ((one, 0), (other, 100)):
            store.are_compactions_hashed = True
            write_history(store)
            for revision in (9, 14, 20):
                store.compact(revision)
                for _ in range(steps_between):
                    store.compact_step(3)
            finish_compaction(store)

        hashes = [store.compaction.hashes.list_newest_first() for store in (one, other)]
        assert [hash_.compact_revision for hash_ in hashes[0]] == [14, 9, -1]
        assert hashes[0] == hashes[1]


def test_nothing_is_removed_before_it_is_hashed(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.are_compactions_hashed = True
        write_history(store)
        store.compact(20)
        while store.compaction.hashes.are_due:
            assert store.counters.compacted_keys == 0
            assert not store.compact_step(1000)
        finish_compaction(store)

        assert store.counters.compacted_keys > 0


def test_hash_kv_at_that_revision_is_answered_from_it(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.are_compactions_hashed = True
        write_history(store)
        store.compact(15)
        finish_compaction(store)
        store.put(b"a", b"")
        kept = store.hash_kv(15)

        assert (kept.compact_revision, kept.revision) == (-1, store.current_revision)
        assert store.hash_kv(16).compact_revision == 15
        assert store.hash_kv(0).compact_revision == 15


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.are_compactions_hashed = True
        write_history(store)
        for revision in range(2, 5 + KEPT_MAX):
            store.compact(revision)
            finish_compaction(store)
        kept = store.compaction.hashes.list_newest_first()

        assert [one.hash_revision for one in kept] == list(range(4 + KEPT_MAX, 4, -1))


def test_too_many_at_once_and_the_later_ones_have_none(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.are_compactions_hashed = True
        write_history(store)
        for revision in range(2, 5 + KEPT_MAX):
            store.compact(revision)
        finish_compaction(store)

        assert store.compaction.hashes.list_newest_first()[0].hash_revision == 1 + KEPT_MAX


def test_nobody_asked_for_them(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        write_history(store)
        store.compact(15)
        finish_compaction(store)

        assert store.compaction.hashes.list_newest_first() == []


def test_a_compaction_that_a_restart_resumes_has_none(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.are_compactions_hashed = True
        write_history(store)
        store.compact(15)
        store.restore()
        finish_compaction(store)

        assert store.compaction.hashes.list_newest_first() == []
