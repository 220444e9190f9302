"""Generations and their pointer: a crash at any moment leaves the old or the new one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.storage.backend import Backend
from etcdpy.storage.backend.generation import Generation, Store
from etcdpy.storage.schema import buckets


def make_store(tmp_path: Path, value: bytes) -> Path:
    backend = Backend.open(tmp_path)
    backend.put(buckets.LEASE, b"k", value)
    backend.end_entry(1, 1)
    backend.close()
    return tmp_path / "store"


def value_in(tmp_path: Path) -> bytes | None:
    backend = Backend.open(tmp_path)
    value = backend.get(buckets.LEASE, b"k")
    backend.close()
    return value


def generations(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir() if path.is_dir())


def build_next(tmp_path: Path, value: bytes) -> tuple[Store, Path]:
    """Build a generation as a defragmentation does, up to the moment before the pointer moves."""
    store = Store(tmp_path / "store")
    path = store.begin_generation()
    generation = Generation(path)
    with generation.env.begin(write=True) as txn:
        txn.put(b"k", value, db=generation.dbs[buckets.LEASE])
    generation.close()
    return store, path


def test_a_crash_before_the_pointer_moves_leaves_the_old_one(tmp_path: Path) -> None:
    directory = make_store(tmp_path, b"old")
    store, _ = build_next(tmp_path, b"new")
    store.close()

    assert generations(directory) == ["00000001", "00000002"]
    assert value_in(tmp_path) == b"old"
    assert generations(directory) == ["00000001"]


def test_a_crash_after_the_pointer_moved_leaves_the_new_one(tmp_path: Path) -> None:
    directory = make_store(tmp_path, b"old")
    store, path = build_next(tmp_path, b"new")
    store.finish_generation(path, origin="defragmentation")
    assert store.read_origin() == "defragmentation"
    (path / "building").touch()  # The crash came before the mark was taken away.
    store.close()

    assert value_in(tmp_path) == b"new"
    assert generations(directory) == ["00000002"]
    assert not (path / "building").exists()


def test_a_crash_in_the_very_first_start_begins_anew(tmp_path: Path) -> None:
    store, _ = build_next(tmp_path, b"half")
    store.close()
    assert value_in(tmp_path) is None


def test_a_half_written_pointer_is_not_seen(tmp_path: Path) -> None:
    directory = make_store(tmp_path, b"old")
    (directory / "current.tmp").write_bytes(b'{"schema": 1, "gen')
    assert value_in(tmp_path) == b"old"


def test_a_lost_pointer_is_refused(tmp_path: Path) -> None:
    directory = make_store(tmp_path, b"precious")
    (directory / "current").unlink()
    with pytest.raises(StorageError, match="pointer file 'current' is missing"):
        Backend.open(tmp_path)
    assert generations(directory) == ["00000001"]


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    directory = make_store(tmp_path, b"v")
    (directory / "current").write_text(json.dumps({"schema": 2, "generation": 1, "origin": "new"}))
    with pytest.raises(StorageError, match="schema version 2, this program knows 1"):
        Backend.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[1]", b'{"schema": 1}', b'{"schema": 1, "generation": 9}'])
def test_a_damaged_pointer_is_refused(tmp_path: Path, content: bytes) -> None:
    directory = make_store(tmp_path, b"v")
    (directory / "current").write_bytes(content)
    with pytest.raises(StorageError):
        Backend.open(tmp_path)


def test_a_store_opens_once(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    with pytest.raises(StorageError, match="in use by another process"):
        Backend.open(tmp_path)
    backend.close()
    Backend.open(tmp_path).close()


def test_a_data_file_that_is_none_is_refused(tmp_path: Path) -> None:
    directory = make_store(tmp_path, b"v")
    (directory / "00000001" / "data.mdb").write_bytes(b"garbage" * 2000)
    with pytest.raises(StorageError, match="cannot open the store"):
        Backend.open(tmp_path)
