"""A store that nobody has open becomes smaller and keeps its content."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.storage.backend import Backend
from etcdpy.storage.backend.generation import Store
from etcdpy.storage.backend.offline import StoreSize, defragment_store
from etcdpy.storage.schema import buckets


def fill(tmp_path: Path) -> None:
    """Write much, and delete most of it in a later transaction, so that its pages are free."""
    backend = Backend.open(tmp_path)
    for number in range(1_000):
        backend.put(buckets.LEASE, b"%08d" % number, b"v" * 3_000)
    backend.end_entry(1, 1)
    backend.close()
    backend = Backend.open(tmp_path)
    for number in range(10, 1_000):
        backend.delete(buckets.LEASE, b"%08d" % number)
    backend.end_entry(2, 1)
    backend.close()


def test_free_pages_are_given_back_and_the_content_stays(tmp_path: Path) -> None:
    fill(tmp_path)
    before: list[StoreSize] = []

    after = defragment_store(tmp_path / "store", before.append)

    assert after.total < before[0].total / 5
    assert before[0].used <= after.total <= before[0].total
    backend = Backend.open(tmp_path)
    assert backend.consistent_index == 2
    assert [backend.get(buckets.LEASE, b"%08d" % number) is not None for number in (0, 9, 10, 999)] == [1, 1, 0, 0]
    backend.close()


def test_only_the_new_generation_is_left(tmp_path: Path) -> None:
    fill(tmp_path)

    defragment_store(tmp_path / "store", lambda size: None)

    assert sorted(path.name for path in (tmp_path / "store").iterdir() if path.is_dir()) == ["00000002"]
    store = Store(tmp_path / "store")
    assert store.read_origin() == "defragmentation"
    store.close()


def test_a_store_in_use_and_none_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no store"):
        defragment_store(tmp_path / "nothing", lambda size: None)
    fill(tmp_path)
    backend = Backend.open(tmp_path)
    with pytest.raises(StorageError, match="in use"):
        defragment_store(tmp_path / "store", lambda size: None)
    backend.close()
