"""What the writer writes, the reader reads; and the pages are such as bbolt makes them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcdpy.storage.bolt.pages import BRANCH, HEADER_BYTES, LEAF, META, PAGE_HEADER, BoltError, decode_meta
from etcdpy.storage.bolt.reader import BoltReader
from etcdpy.storage.bolt.writer import BoltWriter

Items = list[tuple[bytes, bytes]]


def write(path: Path, content: dict[bytes, Items], page_bytes: int = 4096, chunk: int = 7) -> int:
    with open(path, "wb") as file:
        writer = BoltWriter(file, page_bytes=page_bytes)
        for name, items in sorted(content.items()):
            writer.add_bucket(name, [items[first : first + chunk] for first in range(0, len(items), chunk)])
        return writer.finish()


def read(path: Path) -> dict[bytes, Items]:
    with BoltReader(path) as reader:
        return {name: [item for part in reader.iterate(name) for item in part] for name in reader.bucket_names()}


def check_pages(path: Path, page_bytes: int) -> None:
    """Walk the file from page to page: ids and overflow are right, no branch has one child, every byte is used."""
    data = path.read_bytes()
    number = 0
    while number * page_bytes < len(data):
        id_, flags, count, overflow = PAGE_HEADER.unpack_from(data, number * page_bytes)
        assert id_ == number
        assert flags == META if number < 2 else flags in (LEAF, BRANCH)
        assert flags != BRANCH or count >= 2
        number += 1 + overflow
    assert number * page_bytes == len(data)


CONTENT = st.dictionaries(
    st.binary(min_size=1, max_size=12),
    st.dictionaries(
        st.binary(min_size=1, max_size=40),
        st.one_of(st.binary(max_size=60), st.integers(0, 3000).map(bytes)),
        max_size=60,
    ).map(lambda items: sorted(items.items())),
    max_size=6,
)


@settings(max_examples=80, deadline=None)
@given(CONTENT, st.sampled_from([512, 4096, 65536]))
def test_any_content_comes_back(
    tmp_path_factory: pytest.TempPathFactory, content: dict[bytes, Items], page: int
) -> None:
    path = tmp_path_factory.mktemp("bolt") / "db"
    size = write(path, content, page)
    assert read(path) == content
    assert path.stat().st_size == size
    check_pages(path, page)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 30, 31, 32, 900, 1000, 30_000])
def test_trees_of_every_depth(tmp_path: Path, count: int) -> None:
    items = [(b"%08d" % number, bytes(number % 300)) for number in range(count)]
    write(tmp_path / "db", {b"key": items, b"meta": []}, page_bytes=512)
    assert read(tmp_path / "db") == {b"key": items, b"meta": []}
    check_pages(tmp_path / "db", 512)


@pytest.mark.parametrize("key_bytes", [100, 511, 700, 5000])
def test_keys_larger_than_a_branch_page_wants(tmp_path: Path, key_bytes: int) -> None:
    items = [(b"%03d" % number + b"k" * (key_bytes if number % 3 else 1), b"v") for number in range(200)]
    write(tmp_path / "db", {b"authUsers": items}, page_bytes=512)
    assert read(tmp_path / "db") == {b"authUsers": items}
    check_pages(tmp_path / "db", 512)


def test_small_buckets_are_inline_and_both_metas_are_valid(tmp_path: Path) -> None:
    size = write(tmp_path / "db", {b"a": [], b"b": [(b"k", b"v")]})
    data = (tmp_path / "db").read_bytes()
    assert size == 3 * 4096
    metas = [decode_meta(data[:4096]), decode_meta(data[4096:8192])]
    assert [(found.transaction, found.root_page, found.high_water) for found in metas if found] == [
        (0, 2, 3),
        (1, 2, 3),
    ]


def test_a_file_that_was_not_finished_has_no_meta(tmp_path: Path) -> None:
    with open(tmp_path / "db", "wb") as file:
        writer = BoltWriter(file)
        writer.add_bucket(b"key", [[(b"%d" % number, bytes(4000)) for number in range(9)]])
    with pytest.raises(BoltError, match="no valid meta page"):
        BoltReader(tmp_path / "db")


def test_unsorted_input_is_refused() -> None:
    writer = BoltWriter(io.BytesIO())
    with pytest.raises(BoltError, match="was added after"):
        writer.add_bucket(b"key", [[(b"b", b"")], [(b"a", b"")]])
    with pytest.raises(BoltError, match="was added after"):
        writer.add_bucket(b"key", [[(b"b", b""), (b"b", b"")]])
    writer.add_bucket(b"key", [])
    with pytest.raises(BoltError, match="was added after"):
        writer.add_bucket(b"auth", [])


def test_pages_are_filled_to_nine_tenths(tmp_path: Path) -> None:
    items = [(b"%017d" % number, bytes(300)) for number in range(10_000)]
    size = write(tmp_path / "db", {b"key": items})
    payload = 10_000 * (16 + 17 + 300)
    assert 0.8 < payload / size < 0.92
    assert HEADER_BYTES == 16
