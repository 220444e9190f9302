"""The key index: what exists when, counted without being walked."""

from __future__ import annotations

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.state.mvcc.index import Index
from etcdpy.state.mvcc.key_history import PUT, TOMBSTONE, bound_after, pack_record


def put(index: Index, key: bytes, main: int) -> tuple[int, int]:
    return index.put(key, pack_record(main, PUT, 0), main)


def delete(index: Index, key: bytes, main: int) -> None:
    index.delete(key, pack_record(main, TOMBSTONE, 0))


def test_versions_count_up_and_start_anew_after_a_deletion() -> None:
    index = Index()

    assert [put(index, b"a", main) for main in (2, 3, 4)] == [(2, 1), (2, 2), (2, 3)]
    delete(index, b"a", 5)
    assert index.get(b"a") is None and len(index) == 0
    assert [put(index, b"a", main) for main in (6, 7)] == [(6, 1), (6, 2)]
    assert index.created_and_version(b"a") == (6, 2)
    index.check_invariants()


def test_counting_leaves_out_the_dead() -> None:
    index = Index()
    for main, key in enumerate((b"a", b"b", b"c", b"d"), 2):
        put(index, key, main)
    delete(index, b"b", 6)

    assert index.count(b"a", b"d") == 2
    assert index.count_all(b"a", b"d") == 3
    assert index.keys_between(b"a", None) == [b"a", b"c", b"d"]
    assert index.keys_between(b"a", None, 2) == [b"a", b"c"]


def test_a_walk_sees_each_key_once_while_keys_come_and_go() -> None:
    index = Index()
    for main in range(2, 12):
        put(index, b"%03d" % main, main)
    seen: list[bytes] = []

    for keys in index.walk(b"", None, step=3):
        seen += keys
        put(index, b"000%d" % len(seen), 100 + len(seen))  # behind the walk
        put(index, b"999", 200 + len(seen))  # before it

    assert seen == [b"%03d" % main for main in range(2, 12)] + [b"999"]


def test_records_at_a_revision() -> None:
    index = Index()
    put(index, b"a", 2)
    put(index, b"b", 3)
    put(index, b"a", 4)

    assert index.find_records([b"a", b"b"], bound_after(2)) == [pack_record(2, PUT, 0)]
    assert index.find_records([b"a", b"b"], None) == [pack_record(4, PUT, 0), pack_record(3, PUT, 0)]


def test_compaction_forgets_dead_keys_altogether() -> None:
    index = Index()
    put(index, b"a", 2)
    delete(index, b"a", 3)

    assert len(index.compact(b"a", bound_after(4), 4, 100)) == 2

    assert index.histories == {}
    index.check_invariants()


def test_deleting_twice_is_our_bug() -> None:
    index = Index()
    put(index, b"a", 2)
    delete(index, b"a", 3)

    with pytest.raises(InvariantError, match="deleted already"):
        delete(index, b"a", 4)
