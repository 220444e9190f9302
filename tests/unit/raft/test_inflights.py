"""The window of appends on their way."""

from __future__ import annotations

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.raft.inflights import Inflights


def test_full_by_count() -> None:
    window = Inflights(2)
    window.add(5, 100)
    assert not window.is_full()
    window.add(7, 100)

    assert window.is_full()
    with pytest.raises(InvariantError, match="full window"):
        window.add(8, 1)


def test_full_by_bytes() -> None:
    window = Inflights(10, 150)
    window.add(5, 100)
    assert not window.is_full()
    window.add(7, 100)

    assert window.is_full()
    window.check_invariants()


def test_an_acknowledgement_frees_everything_up_to_it() -> None:
    window = Inflights(3, 300)
    for index in (5, 7, 9):
        window.add(index, 100)

    window.free_to(4)
    assert len(window) == 3
    window.free_to(8)

    window.check_invariants()
    assert len(window) == 1
    window.add(10, 100)
    window.clear()
    window.check_invariants()
    assert (len(window), window.is_full()) == (0, False)


def test_order_is_checked() -> None:
    window = Inflights(3)
    window.add(5, 1)
    window.add(5, 1)

    with pytest.raises(InvariantError, match="out of order"):
        window.check_invariants()
