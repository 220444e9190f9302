"""The tree of ranges against a list of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcdpy.base.invariant import InvariantError
from etcdpy.state.watch.range_tree import OPEN_END, RangeTree

keys = st.binary(min_size=1, max_size=2)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(keys, keys | st.just(OPEN_END)), max_size=60), st.lists(keys, max_size=20), st.randoms())
def test_tree_finds_what_a_list_finds(ranges: list[tuple[bytes, bytes]], asked: list[bytes], rng: object) -> None:
    tree: RangeTree[tuple[bytes, bytes]] = RangeTree()
    present = sorted({(start, end) for start, end in ranges if not end or start < end})
    rng.shuffle(present)  # type: ignore[attr-defined]
    for start, end in present:
        tree.insert(start, end, (start, end))
    while True:
        tree.check_invariants()
        assert len(tree) == len(present)
        for key in asked:
            expected = sorted((start, end) for start, end in present if start <= key and (not end or key < end))
            assert sorted(tree.stab(key)) == expected
        if not present:
            break
        for _ in range(min(5, len(present))):
            tree.remove(*present.pop())


def test_ten_thousand_ordered_ranges_stay_balanced() -> None:
    tree: RangeTree[int] = RangeTree()
    for number in range(10_000):
        tree.insert(b"%05d" % number, b"%05d" % (number + 2), number)
    tree.check_invariants()
    assert sorted(tree.stab(b"05000")) == [4999, 5000]
    for number in range(0, 10_000, 2):
        tree.remove(b"%05d" % number, b"%05d" % (number + 2))
    tree.check_invariants()
    assert tree.stab(b"05000") == [4999]


def test_a_range_is_stored_once() -> None:
    tree: RangeTree[int] = RangeTree()
    for end in (b"b", OPEN_END):
        tree.insert(b"a", end, 1)
        with pytest.raises(InvariantError):
            tree.insert(b"a", end, 2)
        with pytest.raises(InvariantError):
            tree.remove(b"0", end)
