"""Disjoint intervals against the list that they were made from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from etcdpy.state.mvcc.intervals import Intervals

keys = st.binary(min_size=1, max_size=2).map(lambda key: bytes(byte % 6 + 97 for byte in key))


@given(st.lists(st.tuples(keys, keys), max_size=12), st.lists(keys, min_size=1, max_size=20))
def test_holds_what_one_of_them_holds(pairs: list[tuple[bytes, bytes]], asked: list[bytes]) -> None:
    intervals = Intervals()
    for start, end in pairs[: len(pairs) // 2]:
        intervals.add(start, end)
    others = Intervals()
    for start, end in pairs[len(pairs) // 2 :]:
        others.add(start, end)
    intervals.update(others)

    for key in asked:
        assert intervals.holds(key) == any(start <= key < end for start, end in pairs)


def test_touching_intervals_become_one() -> None:
    intervals = Intervals()
    for start, end in ((b"a", b"b"), (b"c", b"d"), (b"b", b"c")):
        intervals.add(start, end)

    assert len(intervals) == 1
