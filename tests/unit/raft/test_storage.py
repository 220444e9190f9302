"""The log in memory, against the rules at the top of its file."""

from __future__ import annotations

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ConfState, Entry, HardState, Snapshot
from etcdpy.raft.errors import LogCompacted, LogUnavailable, SnapshotOutOfDate
from etcdpy.raft.sizes import entry_size
from etcdpy.raft.storage import MemoryStorage


def entries(*terms: int, start: int = 1) -> list[Entry]:
    return [Entry(term, start + position, data=b"d") for position, term in enumerate(terms)]


def storage_with(*terms: int, start: int = 1) -> MemoryStorage:
    storage = MemoryStorage()
    if start > 1:
        storage.apply_snapshot(Snapshot(b"", start - 1, terms[0], ConfState([1])))
    storage.append(entries(*terms, start=start))
    storage.check_invariants()
    return storage


def indexes(found: list[Entry]) -> list[tuple[int, int]]:
    return [(entry.term, entry.index) for entry in found]


def test_empty() -> None:
    storage = MemoryStorage()

    assert (storage.first_index(), storage.last_index(), storage.term(0)) == (1, 0, 0)
    assert storage.initial_state()[0].is_empty()
    with pytest.raises(LogUnavailable):
        storage.entries(1, 1)


def test_terms_and_their_limits() -> None:
    storage = storage_with(3, 3, 4, start=5)

    assert [storage.term(index) for index in (4, 5, 6, 7)] == [3, 3, 3, 4]
    with pytest.raises(LogCompacted):
        storage.term(3)
    with pytest.raises(LogUnavailable):
        storage.term(8)


def test_entries_and_their_limits() -> None:
    storage = storage_with(3, 3, 4, start=5)
    size = entry_size(storage.entries(5, 6)[0])

    assert indexes(storage.entries(5, 8)) == [(3, 5), (3, 6), (4, 7)]
    assert indexes(storage.entries(6, 7)) == [(3, 6)]
    assert indexes(storage.entries(5, 8, 0)) == [(3, 5)]
    assert indexes(storage.entries(5, 8, 2 * size)) == [(3, 5), (3, 6)]
    assert indexes(storage.entries(5, 8, 3 * size - 1)) == [(3, 5), (3, 6)]
    with pytest.raises(LogCompacted):
        storage.entries(4, 6)
    with pytest.raises(InvariantError):
        storage.entries(5, 9)


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        (entries(2, 2, start=4), [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5)]),
        (entries(2, start=2), [(1, 1), (2, 2)]),
        (entries(1, 1, 1), [(1, 1), (1, 2), (1, 3)]),
        ([], [(1, 1), (1, 2), (1, 3)]),
    ],
)
def test_append_replaces_from_its_first_index_on(added: list[Entry], expected: list[tuple[int, int]]) -> None:
    storage = storage_with(1, 1, 1)

    storage.append(added)

    storage.check_invariants()
    assert indexes(storage.entries(1, storage.last_index() + 1)) == expected


def test_append_skips_what_is_compacted() -> None:
    storage = storage_with(3, 3, start=5)

    storage.append(entries(1, 1, start=3))
    storage.append(entries(2, 3, 4, start=4))

    assert indexes(storage.entries(5, 7)) == [(3, 5), (4, 6)]


def test_append_with_a_gap_is_our_bug() -> None:
    with pytest.raises(InvariantError, match="missing log entry"):
        storage_with(1).append(entries(1, start=3))


def test_compact_keeps_the_term_of_the_last_that_went() -> None:
    storage = storage_with(1, 2, 3)

    storage.compact(2)

    storage.check_invariants()
    assert (storage.first_index(), storage.last_index(), storage.term(2), storage.term(3)) == (3, 3, 2, 3)
    with pytest.raises(LogCompacted):
        storage.compact(2)
    with pytest.raises(InvariantError):
        storage.compact(4)
    storage.compact(3)
    assert (storage.first_index(), storage.last_index(), storage.term(3)) == (4, 3, 3)


def test_create_snapshot_leaves_the_log() -> None:
    storage = storage_with(1, 2, 3)

    made = storage.create_snapshot(2, ConfState([1, 2]), b"state")

    assert storage.snapshot() is made
    assert (made.index, made.term, made.data, made.conf_state.voters) == (2, 2, b"state", [1, 2])
    assert storage.first_index() == 1
    with pytest.raises(SnapshotOutOfDate):
        storage.create_snapshot(2, None, b"")
    with pytest.raises(InvariantError):
        storage.create_snapshot(4, None, b"")
    assert storage.create_snapshot(3, None, b"").conf_state.voters == [1, 2]


def test_apply_snapshot_starts_over() -> None:
    storage = storage_with(1, 2, 3)

    storage.apply_snapshot(Snapshot(b"", 7, 5, ConfState([1])))

    storage.check_invariants()
    assert (storage.first_index(), storage.last_index(), storage.term(7)) == (8, 7, 5)
    with pytest.raises(SnapshotOutOfDate):
        storage.apply_snapshot(Snapshot(b"", 7, 5))


def test_initial_state() -> None:
    storage = storage_with(2, start=5)
    storage.set_hard_state(HardState(3, 1, 5))

    hard_state, conf_state = storage.initial_state()

    assert (hard_state, conf_state) == (HardState(3, 1, 5), ConfState([1]))
