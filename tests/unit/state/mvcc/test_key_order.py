"""Keys in order, with some that wait to be put in order."""

from __future__ import annotations

from etcdpy.state.mvcc import key_order
from etcdpy.state.mvcc.key_order import KeyOrder


def made_of(*keys: bytes) -> KeyOrder:
    order = KeyOrder(keys[:2])
    for key in keys[2:]:
        order.add(key)
    return order


def test_pending_keys_are_seen_in_order() -> None:
    order = made_of(b"c", b"a", b"d", b"b")

    assert order.between(b"a", None) == [b"a", b"b", b"c", b"d"]
    assert len(order) == 4


def test_end_is_exclusive_and_an_inverted_range_is_empty() -> None:
    order = made_of(b"a", b"b", b"c")

    assert order.between(b"a", b"c") == [b"a", b"b"]
    assert order.between(b"c", b"a") == []
    assert order.count(b"c", b"a") == 0


def test_limit_cuts() -> None:
    assert made_of(b"a", b"b", b"c").between(b"a", None, 2) == [b"a", b"b"]


def test_after_goes_on_behind_a_key() -> None:
    assert made_of(b"a", b"a\0", b"b").after(b"a", None, 10) == [b"a\0", b"b"]


def test_count_needs_no_walk_and_counts_pending_keys() -> None:
    order = made_of(b"a", b"b", b"c", b"d")

    assert order.count(b"b", b"d") == 2
    assert order.count(b"b", None) == 3
    assert KeyOrder().count(b"", None) == 0


def test_removing_takes_from_where_the_key_is() -> None:
    order = made_of(b"a", b"b", b"c")

    order.remove(b"c")
    order.remove(b"a")

    assert order.between(b"", None) == [b"b"]


def test_pending_keys_are_bounded() -> None:
    order = KeyOrder()
    for number in range(key_order.PENDING_MAX + 10):
        order.add(b"%08d" % (number * 7919 % 100_003))

    assert len(order._pending) == 10
    assert order.between(b"", None) == sorted(b"%08d" % (number * 7919 % 100_003) for number in range(8202))
