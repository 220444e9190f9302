"""Values read lately: right, bounded, and asked for once."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from etcdpy.storage.backend.cache import ITEM_BYTES, ValueCache


class Disk:
    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self.asked += keys
        return [None if key == b"gone" else b"value of " + key for key in keys]


def test_what_was_read_is_not_fetched_again() -> None:
    disk, cache = Disk(), ValueCache()
    keys = [b"a", b"b", b"c"]

    first = cache.get_many(keys, disk.fetch)
    second = cache.get_many([b"c", b"d", b"a"], disk.fetch)

    assert first == [b"value of a", b"value of b", b"value of c"]
    assert second == [b"value of c", b"value of d", b"value of a"]
    assert disk.asked == [b"a", b"b", b"c", b"d"]


def test_what_is_not_there_is_asked_for_again() -> None:
    disk, cache = Disk(), ValueCache()

    assert [cache.get_many([b"gone"], disk.fetch) for _ in range(2)] == [[None], [None]]

    assert disk.asked == [b"gone", b"gone"]


def test_cleared_it_knows_nothing() -> None:
    disk, cache = Disk(), ValueCache()
    cache.get_many([b"a"], disk.fetch)
    cache.clear()
    cache.get_many([b"a"], disk.fetch)

    assert disk.asked == [b"a", b"a"]


def test_what_nobody_asks_for_any_more_goes_and_the_rest_stays() -> None:
    disk = Disk()
    cache = ValueCache(generation_bytes_max=10 * (ITEM_BYTES + 20))
    for number in range(100):
        cache.get_many([b"hot", b"cold %d" % number], disk.fetch)

    assert disk.asked.count(b"hot") == 1
    cache.get_many([b"cold 0"], disk.fetch)
    assert disk.asked.count(b"cold 0") == 2


@given(st.lists(st.lists(st.integers(0, 40).map(lambda number: b"%d" % number), max_size=12), max_size=60))
def test_it_says_what_the_disk_says_and_stays_within_its_bounds(reads: list[list[bytes]]) -> None:
    disk = Disk()
    cache = ValueCache(generation_bytes_max=8 * (ITEM_BYTES + 12))
    for keys in reads:
        assert cache.get_many(keys, disk.fetch) == [b"value of " + key for key in keys]
        assert len(cache._young) <= 10 and len(cache._old) <= 10
