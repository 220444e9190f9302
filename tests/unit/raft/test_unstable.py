"""The unstable tail: what is written, what is overwritten meanwhile, and what is then believed."""

from __future__ import annotations

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import Entry, Snapshot
from etcdpy.raft.unstable import Unstable


class Lines:
    """A logger that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, text: str, /) -> None:
        self.lines.append(text)

    info = warning = error = debug


def entries(*terms: int, start: int = 5) -> list[Entry]:
    return [Entry(term, start + position) for position, term in enumerate(terms)]


def tail_of(unstable: Unstable) -> list[tuple[int, int]]:
    return [(entry.term, entry.index) for entry in unstable.tail]


def unstable_with(*terms: int, lines: Lines | None = None) -> Unstable:
    unstable = Unstable(5, lines or Lines())
    if terms:
        unstable.append(entries(*terms))
    return unstable


def test_each_entry_is_handed_out_once() -> None:
    unstable = unstable_with(1, 1)

    first = unstable.waiting_entries()
    unstable.take_for_write()
    unstable.append(entries(1, start=7))
    second = unstable.waiting_entries()

    assert [entry.index for entry in first] == [5, 6]
    assert [entry.index for entry in second] == [7]
    unstable.check_invariants()


def test_a_conflict_cuts_the_tail_and_is_written_again() -> None:
    lines = Lines()
    unstable = unstable_with(1, 1, 1, lines=lines)
    unstable.take_for_write()

    unstable.append(entries(2, 2, start=6))

    unstable.check_invariants()
    assert tail_of(unstable) == [(1, 5), (2, 6), (2, 7)]
    assert [entry.index for entry in unstable.waiting_entries()] == [6, 7]
    assert lines.lines == ["truncate the unstable entries before index 6"]


@pytest.mark.parametrize("start", [3, 5])
def test_a_conflict_at_or_before_the_tail_replaces_it(start: int) -> None:
    lines = Lines()
    unstable = unstable_with(1, 1, lines=lines)

    unstable.append(entries(2, start=start))

    unstable.check_invariants()
    assert tail_of(unstable) == [(2, start)]
    assert (unstable.offset, unstable.in_progress) == (start, start)
    assert lines.lines == [f"replace the unstable entries from index {start}"]


def test_a_gap_is_our_bug() -> None:
    with pytest.raises(InvariantError, match="gap"):
        unstable_with(1).append(entries(1, start=7))


def test_stable_entries_are_forgotten() -> None:
    unstable = unstable_with(1, 1, 2)
    unstable.take_for_write()

    unstable.stable_to(6, 1)

    unstable.check_invariants()
    assert tail_of(unstable) == [(2, 7)]
    assert unstable.offset == 7


def test_a_write_of_what_was_overwritten_meanwhile_is_not_believed() -> None:
    lines = Lines()
    unstable = unstable_with(1, 1, lines=lines)
    unstable.take_for_write()
    unstable.append(entries(2, start=6))

    unstable.stable_to(6, 1)
    unstable.stable_to(9, 1)
    unstable.stable_to(4, 1)

    assert tail_of(unstable) == [(1, 5), (2, 6)]
    assert lines.lines[1:] == [
        "entry at (index,term)=(6,1) mismatched with entry at (6,2) in unstable log; ignoring",
        "entry at index 9 missing from unstable log; ignoring",
        "entry at index 4 missing from unstable log; ignoring",
    ]


def test_a_snapshot_is_handed_out_once_and_forgotten_by_its_own_index_only() -> None:
    lines = Lines()
    unstable = unstable_with(1, lines=lines)
    unstable.restore(Snapshot(b"", 9, 3))
    unstable.check_invariants()

    assert unstable.waiting_snapshot() is not None
    unstable.take_for_write()
    assert unstable.waiting_snapshot() is None
    assert unstable.find_term(9) == 3
    unstable.stable_to(9, 3)
    unstable.stable_snapshot_to(8)
    assert unstable.snapshot is not None
    unstable.stable_snapshot_to(9)
    unstable.check_invariants()
    assert unstable.snapshot is None
    assert lines.lines == ["entry at index 9 matched unstable snapshot; ignoring"]
