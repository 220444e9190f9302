"""Sizes of entries: exact where it matters, bounded where it is cheap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcdpy.pb.raft_values import Entry
from etcdpy.raft.sizes import NO_LIMIT, entry_size, limit_size, payload_size, size_bound, take_within, varint_size

ENTRIES = st.builds(
    Entry,
    term=st.integers(0, (1 << 64) - 1),
    index=st.integers(0, (1 << 64) - 1),
    type=st.integers(0, 2),
    data=st.binary(max_size=300),
)


@pytest.mark.parametrize(
    ("value", "size"), [(0, 1), (1, 1), (127, 1), (128, 2), (16383, 2), (16384, 3), ((1 << 64) - 1, 10)]
)
def test_varint_size(value: int, size: int) -> None:
    assert varint_size(value) == size


@given(ENTRIES)
def test_entry_size_is_that_of_its_encoding(entry: Entry) -> None:
    assert entry_size(entry) == len(entry.encode())


@given(st.lists(ENTRIES, max_size=8), st.integers(0, 2000))
def test_limit_size(entries: list[Entry], max_size: int) -> None:
    taken = limit_size(entries, max_size)

    assert size_bound(entries) >= sum(entry_size(entry) for entry in entries)
    assert taken == entries[: len(taken)]
    assert bool(taken) == bool(entries)
    assert len(taken) <= 1 or sum(entry_size(entry) for entry in taken) <= max_size
    following = entries[: len(taken) + 1]
    assert taken == entries or sum(entry_size(entry) for entry in following) > max_size


def test_payload_size() -> None:
    assert payload_size([Entry(data=b"abc"), Entry(), Entry(data=b"d")]) == 4


@pytest.mark.parametrize("max_size", [0, 100, 20_000, 10_000_000, NO_LIMIT])
def test_take_within_a_long_log(max_size: int) -> None:
    entries = [Entry(1, index, data=b"x" * 20) for index in range(3000)]

    taken = take_within(entries, 100, 2900, max_size)

    assert taken == entries[100 : 100 + len(taken)]
    assert len(taken) == 2800 or len(taken) == 1 or sum(entry_size(entry) for entry in taken) <= max_size
    assert taken == limit_size(entries[100:2900], max_size)
