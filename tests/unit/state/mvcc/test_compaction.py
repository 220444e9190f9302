"""Compaction in slices, across crashes."""

from __future__ import annotations

from pathlib import Path

from etcdpy.pb.rpc_pb2 import DeleteRangeRequest
from etcdpy.storage.schema.buckets import KEY, META
from etcdpy.storage.schema.meta import FINISHED_COMPACT_REVISION, SCHEDULED_COMPACT_REVISION
from etcdpy.storage.schema.revisions import encode_revision
from tests.unit.state.mvcc.store_on_disk import finish_compaction, open_store, read


def test_what_is_left_on_disk_and_when_it_is_called_finished(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for _ in range(3):
            for number in range(10):
                store.put(b"%d" % number, b"")
        store.compact(25)
        assert store.backend.get(META, SCHEDULED_COMPACT_REVISION) == encode_revision(25, 0)

        steps = 0
        while not store.compact_step(4):
            assert store.backend.get(META, FINISHED_COMPACT_REVISION) is None
            steps += 1

        assert steps >= 3
        assert store.backend.get(META, FINISHED_COMPACT_REVISION) == encode_revision(25, 0)
        kept = [*range(16, 26), *range(26, 32)]
        assert [key for key, _ in store.backend.scan(KEY, b"", None)] == [encode_revision(main, 0) for main in kept]


def test_a_restart_goes_on_where_compaction_stopped(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for _ in range(2):
            for number in range(10):
                store.put(b"%d" % number, b"")
        store.compact(21)
        store.compact_step(3)

    with open_store(tmp_path) as store:
        assert store.compact_revision == 21 and store.is_compacting
        finish_compaction(store)
        assert len(store.backend.scan(KEY, b"", None)) == 10

    with open_store(tmp_path) as store:
        assert store.compact_revision == 21 and not store.is_compacting


def test_the_revision_does_not_go_down_when_compaction_removed_the_newest_records(tmp_path: Path) -> None:
    """etcd issue 17780. Written as 3.5.1 would leave it: without the tombstone of the compacted revision."""
    with open_store(tmp_path) as store:
        store.put(b"a", b"")
        store.apply_delete_range(DeleteRangeRequest(key=b"a"))
        store.compact(3)
        finish_compaction(store)
        store.backend.delete(KEY, encode_revision(3, 0, tombstone=True))

    with open_store(tmp_path) as store:
        assert store.current_revision == 3
        assert store.put(b"a", b"").revision == 4


def test_a_second_compaction_joins_the_first(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for _ in range(3):
            for number in range(5):
                store.put(b"%d" % number, b"")
        store.compact(6)
        store.compact_step(2)
        store.compact(16)
        finish_compaction(store)

        assert len(store.backend.scan(KEY, b"", None)) == 5
        assert store.backend.get(META, FINISHED_COMPACT_REVISION) == encode_revision(16, 0)


def test_the_tombstone_of_the_compacted_revision_stays_for_watchers(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.put(b"a", b"")
        store.apply_delete_range(DeleteRangeRequest(key=b"a"))
        store.compact(3)
        finish_compaction(store)

        changes, _ = store.changes_between(3, 4)
        assert [(change.key, change.is_delete) for change in changes] == [(b"a", True)]

        store.put(b"b", b"")
        store.compact(4)
        finish_compaction(store)
        assert store.backend.scan(KEY, b"", encode_revision(4, 0)) == []
        assert read(store, b"a", b"\0") == [(b"b", b"")]


def test_a_key_with_a_long_history_takes_many_steps(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for _ in range(50):
            store.put(b"a", b"")
        store.put(b"b", b"")
        store.compact(50)
        sizes = [len(store.backend.scan(KEY, b"", None))]
        while not store.compact_step(10):
            store.index.check_invariants()
            assert store.index.created_and_version(b"a") == (2, 50)
            sizes.append(len(store.backend.scan(KEY, b"", None)))

        assert sizes == [51, 41, 31, 21, 11]
        assert len(store.backend.scan(KEY, b"", None)) == 3
        assert read(store, b"a", revision=50) == [(b"a", b"")]
