"""The packed revisions of one key."""

from __future__ import annotations

import gc

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.state.mvcc import key_history as kh


def put(main: int, sub: int = 0) -> bytes:
    return kh.pack_record(main, kh.PUT, sub)


def tombstone(main: int, sub: int = 0) -> bytes:
    return kh.pack_record(main, kh.TOMBSTONE, sub)


def made_of(*records: bytes) -> kh.History:
    """A history from its first creation on."""
    history = bytearray(kh.pack_head(kh.main_of(records[0]), 0))
    for record in records:
        history += record
    return history


def compacted(history: kh.History, main: int, limit: int = 100) -> tuple[list[bytes], list[bytes]]:
    """Compact a copy."""
    left, dropped = kh.compact(bytearray(history), kh.bound_after(main), main, limit)
    return ([] if left is None else kh.records_of(left)), dropped


def test_histories_are_nothing_to_the_garbage_collector() -> None:
    assert not gc.is_tracked(put(5))
    assert not gc.is_tracked(made_of(put(5), put(6)))


def test_a_single_put_is_its_own_history() -> None:
    assert kh.begin(put(5), 5, 1) == put(5)
    assert kh.created_and_version(put(5)) == (5, 1)
    assert kh.find_before(put(5), kh.bound_after(5)) == put(5)
    assert kh.find_before(put(5), kh.bound_after(4)) is None


def test_a_put_whose_forerunners_are_compacted_keeps_its_numbers() -> None:
    history = kh.begin(put(9), 3, 4)

    assert kh.created_and_version(history) == (3, 4)
    assert kh.created_and_version(kh.extend(history, put(11), 3, 5)) == (3, 5)


@pytest.mark.parametrize(
    ("revision", "expected"),
    [(1, None), (2, put(2)), (3, put(2)), (4, put(4, 7)), (5, None), (6, None), (7, put(7)), (99, put(7))],
)
def test_the_record_in_force_at_each_revision(revision: int, expected: bytes | None) -> None:
    history = made_of(put(2), put(4, 7), tombstone(5), put(7))

    assert kh.find_before(history, kh.bound_after(revision)) == expected


def test_deleted_and_put_in_one_revision_exists() -> None:
    history = made_of(put(2), tombstone(5, 0), put(5, 1))

    assert kh.find_before(history, kh.bound_after(5)) == put(5, 1)


def test_compaction_keeps_the_record_in_force_and_all_later() -> None:
    history = made_of(put(2), put(4), put(6), put(8))

    assert compacted(history, 6) == ([put(6), put(8)], [put(2), put(4)])
    assert compacted(history, 7) == ([put(6), put(8)], [put(2), put(4)])
    assert compacted(history, 1) == (kh.records_of(history), [])


def test_compaction_takes_the_oldest_first_when_it_is_limited() -> None:
    history = made_of(put(2), put(4), put(6), put(8))

    left, dropped = kh.compact(history, kh.bound_after(8), 8, 2)

    assert left is not None and kh.records_of(left) == [put(6), put(8)]
    assert dropped == [put(2), put(4)]
    assert kh.created_and_version(left) == (2, 4)
    assert compacted(left, 8, 2) == ([put(8)], [put(6)])


def test_compaction_forgets_a_deleted_key_unless_it_died_at_that_revision() -> None:
    history = made_of(put(2), tombstone(4))

    assert compacted(history, 3) == ([put(2), tombstone(4)], [])
    assert compacted(history, 4) == ([tombstone(4)], [put(2)])
    assert compacted(history, 5) == ([], [put(2), tombstone(4)])
    assert compacted(made_of(tombstone(4)), 5) == ([], [tombstone(4)])


def test_compaction_keeps_version_and_creation() -> None:
    left, _ = kh.compact(made_of(put(2), put(4), put(6)), kh.bound_after(6), 6, 100)

    assert left is not None and kh.created_and_version(left) == (2, 3)


def test_compaction_shrinks_what_is_a_single_put_again() -> None:
    history = made_of(put(2), tombstone(3), put(5))
    kh.pack_head_into(history, 0, 5, 1 - 3)

    left, dropped = kh.compact(history, kh.bound_after(5), 5, 100)

    assert left == put(5) and type(left) is bytes
    assert dropped == [put(2), tombstone(3)]


def test_disk_keys_are_etcds() -> None:
    assert kh.disk_key(put(1, 2)) == b"\0\0\0\0\0\0\0\x01_\0\0\0\0\0\0\0\x02"
    assert kh.disk_key(tombstone(1, 2)) == b"\0\0\0\0\0\0\0\x01_\0\0\0\0\0\0\0\x02t"


@pytest.mark.parametrize("records", [(put(3), put(2)), (put(2), put(2)), (put(1), tombstone(2), tombstone(3))])
def test_a_history_that_cannot_be_is_found_out(records: tuple[bytes, ...]) -> None:
    with pytest.raises(InvariantError):
        kh.check_history(made_of(*records))
