"""A file written anew: compact, with the asked changes, and nothing half-made left."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.storage.bolt.pages import BoltError
from etcdpy.storage.bolt.reader import BoltReader
from etcdpy.storage.bolt.rewrite import defragment_bolt, rewrite_bolt
from etcdpy.storage.bolt.writer import BoltWriter

Items = list[tuple[bytes, bytes]]
MANY: Items = [(b"%08d" % number, b"v" * 100) for number in range(5_000)]


def write(path: Path, content: dict[bytes, Items], *, free_pages: int = 0) -> None:
    with open(path, "wb") as file:
        writer = BoltWriter(file)
        for _ in range(free_pages):
            # A page that no tree leads to is a free one.
            writer.write_page(2, 0, b"", b"")
        for name, items in sorted(content.items()):
            writer.add_bucket(name, [items])
        writer.finish()


def read(path: Path) -> dict[bytes, Items]:
    with BoltReader(path) as reader:
        return {name: [item for part in reader.iterate(name) for item in part] for name in reader.bucket_names()}


def test_buckets_are_kept_replaced_and_added(tmp_path: Path) -> None:
    write(tmp_path / "old", {b"key": MANY, b"members": [(b"a", b"1")], b"unknown": [(b"x", b"y")]})

    with BoltReader(tmp_path / "old") as reader:
        size = rewrite_bolt(reader, tmp_path / "new", {b"members": [(b"b", b"2")], b"added": []})

    assert size == (tmp_path / "new").stat().st_size
    assert read(tmp_path / "new") == {
        b"added": [],
        b"key": MANY,
        b"members": [(b"b", b"2")],
        b"unknown": [(b"x", b"y")],
    }


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "old", {b"key": MANY})
    (tmp_path / "new").write_bytes(b"precious")

    with BoltReader(tmp_path / "old") as reader, pytest.raises(StorageError, match="cannot write"):
        rewrite_bolt(reader, tmp_path / "new", {})

    assert (tmp_path / "new").read_bytes() == b"precious"


def test_defragmentation_drops_free_pages_only(tmp_path: Path) -> None:
    path = tmp_path / "db"
    write(path, {b"key": MANY}, free_pages=50)
    with BoltReader(path) as reader:
        free = reader.size_bytes() - reader.used_bytes()
        before = reader.size_bytes()
        assert defragment_bolt(reader, path) == path.stat().st_size == before - free

    assert free == 50 * 4096
    assert read(path) == {b"key": MANY}
    with BoltReader(path) as reader:
        assert reader.used_bytes() == reader.size_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["db"]


def test_a_damaged_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "db"
    write(path, {b"key": MANY})
    content = bytearray(path.read_bytes())
    content[20 * 4096] ^= 1
    path.write_bytes(content)

    with BoltReader(path) as reader, pytest.raises(BoltError):
        defragment_bolt(reader, path)

    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["db"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    write(tmp_path / "db", {b"key": [(b"%08d" % number, b"v" * 4000) for number in range(5_000)]})
    tracemalloc.start()
    try:
        with BoltReader(tmp_path / "db") as reader:
            rewrite_bolt(reader, tmp_path / "new", {})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert (tmp_path / "new").stat().st_size > 20_000_000
    assert peak < 4_000_000
