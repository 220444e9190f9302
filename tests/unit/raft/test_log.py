"""The log as one sequence, against a plain list: whatever lies where, the answers are the list's."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ConfState, Entry, Snapshot
from etcdpy.raft.config import SILENT
from etcdpy.raft.errors import LogCompacted, LogUnavailable
from etcdpy.raft.log import RaftLog
from etcdpy.raft.storage import MemoryStorage


def entries(*terms: int, start: int = 1) -> list[Entry]:
    return [Entry(term, start + position, data=b"d") for position, term in enumerate(terms)]


def log_with(*terms: int, stable: int = 0) -> RaftLog:
    """A log of these terms from index 1 on; the first `stable` entries are in storage."""
    log = RaftLog(MemoryStorage(), SILENT)
    if terms:
        log.append(entries(*terms))
    write_through(log, stable)
    return log


def write_through(log: RaftLog, index: int) -> None:
    """Write the tail up to `index`, as the disk would."""
    assert isinstance(log.storage, MemoryStorage)
    written = [entry for entry in log.unstable.tail if entry.index <= index]
    if written:
        log.unstable.take_for_write()
        log.storage.append(written)
        log.unstable.stable_to(written[-1].index, written[-1].term)


@given(st.lists(st.integers(0, 2), max_size=12), st.integers(0, 12), st.integers(0, 8), st.data())
def test_reading(steps: list[int], stable: int, compacted: int, data: st.DataObject) -> None:
    terms = [1 + sum(steps[: position + 1]) for position in range(len(steps))]
    log = log_with(*terms, stable=min(stable, len(terms)))
    compacted = min(compacted, log.unstable.offset - 1)
    assert isinstance(log.storage, MemoryStorage)
    if compacted:
        log.committed = log.applying = log.applied = compacted
        log.storage.compact(compacted)
    log.check_invariants()
    known = {index: term for index, term in enumerate(terms, start=1) if index >= max(compacted, 1)}
    if not compacted:
        known[0] = 0

    for index in range(len(terms) + 3):
        assert log.term_or_zero(index) == known.get(index, 0)
        assert log.matches(index=index, term=1) == (known.get(index) == 1)
    if terms:
        low = data.draw(st.integers(compacted + 1, len(terms) + 1))
        high = data.draw(st.integers(low, len(terms) + 1))
        assert [entry.index for entry in log.slice(low, high)] == list(range(low, high))
    index, term = data.draw(st.integers(0, len(terms))), data.draw(st.integers(0, 5))
    assert log.find_conflict_by_term(index, term) == walk_back(known, index, term)


def walk_back(known: dict[int, int], index: int, term: int) -> tuple[int, int]:
    while index > 0:
        if index not in known:
            return index, 0
        if known[index] <= term:
            return index, known[index]
        index -= 1
    return 0, 0


@settings(max_examples=200)
@given(
    st.lists(st.integers(1, 3), max_size=6).map(sorted),
    st.integers(0, 6),
    st.integers(0, 6),
    st.lists(st.integers(1, 4), max_size=5).map(sorted),
)
def test_maybe_append(terms: list[int], stable: int, previous: int, new_terms: list[int]) -> None:
    """After it, the log holds the leader's entries; before them, nothing has changed."""
    previous = min(previous, len(terms))
    previous_term = terms[previous - 1] if previous else 0
    new_terms = [max(term, previous_term) for term in new_terms]
    log = log_with(*terms, stable=min(stable, len(terms)))
    added = entries(*new_terms, start=previous + 1)

    last = log.maybe_append(index=previous, term=previous_term, entries=added, committed=previous)

    log.check_invariants()
    expected = terms[:previous] + new_terms
    if terms[previous : previous + len(new_terms)] == new_terms:
        expected = terms if len(terms) > len(expected) else expected
    assert last == previous + len(new_terms)
    assert [entry.term for entry in log.slice(1, log.last_index + 1)] == expected
    assert log.committed == previous


def test_an_append_that_does_not_follow_is_refused() -> None:
    log = log_with(1, 1, 2)

    assert log.maybe_append(index=3, term=3, entries=entries(3, start=4), committed=0) is None
    assert log.maybe_append(index=4, term=2, entries=entries(2, start=5), committed=0) is None
    assert log.last_index == 3


def test_a_conflict_with_what_is_committed_is_our_bug() -> None:
    log = log_with(1, 1)
    log.commit_to(2)

    with pytest.raises(InvariantError, match="conflict with committed entry"):
        log.maybe_append(index=1, term=1, entries=entries(2, start=2), committed=2)
    with pytest.raises(InvariantError, match="out of range"):
        log.append(entries(2, start=2))


def test_commit_never_goes_back_nor_beyond_the_end() -> None:
    log = log_with(1, 1, 1)

    log.commit_to(2)
    log.commit_to(1)

    assert log.committed == 2
    with pytest.raises(InvariantError, match="tocommit"):
        log.commit_to(4)


def test_only_the_own_term_is_committed_by_counting() -> None:
    log = log_with(1, 1, 2)

    assert not log.maybe_commit(index=2, term=2)
    assert log.maybe_commit(index=3, term=2)
    assert log.committed == 3


def test_only_what_is_on_disk_is_handed_out() -> None:
    log = log_with(1, 1, 1, stable=2)
    log.commit_to(3)

    assert [entry.index for entry in log.appliable_entries(False)] == [1, 2]
    assert [entry.index for entry in log.appliable_entries(True)] == [1, 2, 3]


def test_handing_out_pauses_at_the_limit() -> None:
    log = log_with(1, 1, 1, stable=3)
    log.applying_size_max = 1
    log.commit_to(3)
    batch = log.appliable_entries(False)

    log.accept_applying(batch, False)
    log.check_invariants()

    assert [entry.index for entry in batch] == [1]
    assert log.appliable_entries(False) == []
    log.applied_to(1)
    assert [entry.index for entry in log.appliable_entries(False)] == [2]


def test_applied_stays_within_committed_and_never_falls() -> None:
    log = log_with(1, 1, stable=2)
    log.commit_to(1)
    log.applied_to(1)

    with pytest.raises(InvariantError, match="applied"):
        log.applied_to(2)
    with pytest.raises(InvariantError, match="applied"):
        log.applied_to(0)


def test_restore_starts_over_behind_the_snapshot() -> None:
    log = log_with(1, 1, stable=1)

    log.restore(Snapshot(b"", 9, 4, ConfState([1])))

    log.check_invariants()
    assert (log.first_index(), log.last_index, log.committed, log.last_term()) == (10, 9, 9, 4)
    assert log.snapshot().index == 9
    assert not log.has_appliable(True)
    with pytest.raises(LogCompacted):
        log.term(8)
    with pytest.raises(LogUnavailable):
        log.term(10)


def test_up_to_date_compares_the_term_first() -> None:
    log = log_with(1, 2)

    assert log.is_up_to_date(index=1, term=3)
    assert log.is_up_to_date(index=2, term=2)
    assert not log.is_up_to_date(index=1, term=2)
    assert not log.is_up_to_date(index=9, term=1)
