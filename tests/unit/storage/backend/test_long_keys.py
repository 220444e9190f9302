from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etcdpy.base.invariant import StorageError
from etcdpy.storage.backend.long_keys import LMDB_KEY_BYTES_MAX, PREFIX, real_item, stored_item, stored_key

NAMES = st.one_of(st.binary(max_size=30), st.binary(min_size=500, max_size=600), st.binary().map(PREFIX.__add__))


@given(NAMES, st.binary())
@example(b"", b"")
@example(b"x" * 511, b"v")
@example(b"x" * 512, b"v")
@example(PREFIX, b"v")
def test_what_is_stored_fits_and_comes_back(name: bytes, value: bytes) -> None:
    key, stored = stored_item(name, value)
    assert 1 <= len(key) <= LMDB_KEY_BYTES_MAX
    assert key == stored_key(name)
    assert real_item(key, stored) == (name, value)


@given(NAMES, NAMES)
def test_two_names_never_share_a_key(one: bytes, other: bytes) -> None:
    assert (stored_key(one) == stored_key(other)) == (one == other)


def test_ordinary_names_are_left_alone() -> None:
    assert stored_item(b"alice", b"v") == (b"alice", b"v")


@pytest.mark.parametrize("value", [b"", b"\0\0\0", b"\0\0\0\5name"])
def test_a_damaged_value_is_refused(value: bytes) -> None:
    with pytest.raises(StorageError):
        real_item(PREFIX + bytes(32), value)
