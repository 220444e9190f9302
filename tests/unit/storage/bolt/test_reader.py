"""Damaged files: the reader gives what is there or says BoltError; it never crashes and never runs for ever."""

from __future__ import annotations

import random
from pathlib import Path
from struct import pack_into

import pytest

from etcdpy.storage.bolt.pages import BRANCH, PAGE_HEADER, BoltError
from etcdpy.storage.bolt.reader import BoltReader
from etcdpy.storage.bolt.writer import BoltWriter

PAGE = 512


@pytest.fixture
def good(tmp_path: Path) -> bytes:
    """A file with several levels, overflow pages and inline buckets."""
    path = tmp_path / "good.db"
    with open(path, "wb") as file:
        writer = BoltWriter(file, page_bytes=PAGE)
        writer.add_bucket(b"auth", [[(b"authEnabled", b"\0")]])
        items = [(b"%06d" % number, bytes(2000 if number == 77 else number % 50)) for number in range(600)]
        writer.add_bucket(b"key", [items])
        writer.add_bucket(b"lease", [[(b"%08d" % number, b"lease") for number in range(20)]])
        writer.finish()
    return path.read_bytes()


def read_all(path: Path) -> int:
    """Return how many items a file gives; raise what reading it raises."""
    with BoltReader(path) as reader:
        return sum(len(items) for name in reader.bucket_names() for items in reader.iterate(name))


def first_branch(data: bytes) -> int:
    return next(
        number for number in range(2, len(data) // PAGE) if PAGE_HEADER.unpack_from(data, number * PAGE)[1] == BRANCH
    )


def test_the_good_file_is_good(tmp_path: Path, good: bytes) -> None:
    assert read_all(tmp_path / "good.db") == 1 + 600 + 20


def test_flipped_bytes_give_an_error_or_a_value(tmp_path: Path, good: bytes) -> None:
    random_ = random.Random(7)
    path = tmp_path / "bad.db"
    refused = 0
    for _ in range(600):
        data = bytearray(good)
        for _ in range(random_.choice((1, 1, 4))):
            data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
        path.write_bytes(data)
        try:
            assert read_all(path) <= 1 + 600 + 20 + 4
        except BoltError:
            refused += 1
    assert refused > 80


def test_headers_and_elements_set_to_extremes(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "bad.db"
    random_ = random.Random(8)
    for _ in range(800):
        data = bytearray(good)
        page = random_.randrange(2, len(good) // PAGE) * PAGE
        pack_into(
            "<I", data, page + 4 * random_.randrange(10), random_.choice((0, 1, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF))
        )
        path.write_bytes(data)
        try:
            read_all(path)
        except BoltError:
            continue


def test_every_truncation_is_refused(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "bad.db"
    for size in [*range(0, 1200, 50), *range(1200, len(good), 997), len(good) - 1]:
        path.write_bytes(good[:size])
        with pytest.raises(BoltError):
            read_all(path)


def test_one_damaged_meta_is_survived_two_are_not(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "bad.db"
    for damaged in ((0,), (1,), (0, 1)):
        data = bytearray(good)
        for number in damaged:
            data[number * PAGE + 40] ^= 0xFF
        path.write_bytes(data)
        if len(damaged) == 2:
            with pytest.raises(BoltError, match="no valid meta page"):
                read_all(path)
        else:
            assert read_all(path) == 621


def test_a_branch_that_leads_to_itself(tmp_path: Path, good: bytes) -> None:
    data = bytearray(good)
    branch = first_branch(good)
    pack_into("<Q", data, branch * PAGE + 16 + 16 + 8, branch)
    (tmp_path / "bad.db").write_bytes(data)
    with pytest.raises(BoltError, match="used twice"):
        read_all(tmp_path / "bad.db")


def test_overflow_beyond_the_file(tmp_path: Path, good: bytes) -> None:
    data = bytearray(good)
    pack_into("<I", data, 2 * PAGE + 12, 0xFFFF_FFFF)
    (tmp_path / "bad.db").write_bytes(data)
    with pytest.raises(BoltError, match="over the end of the file"):
        read_all(tmp_path / "bad.db")


def test_no_file_and_no_bbolt_file(tmp_path: Path) -> None:
    with pytest.raises(BoltError, match="cannot read"):
        BoltReader(tmp_path / "missing")
    (tmp_path / "text").write_bytes(b"hello" * 1000)
    with pytest.raises(BoltError, match="not a bbolt file"):
        BoltReader(tmp_path / "text")
    with pytest.raises(BoltError):
        BoltReader(tmp_path)


def test_an_unknown_bucket_is_empty(tmp_path: Path, good: bytes) -> None:
    with BoltReader(tmp_path / "good.db") as reader:
        assert list(reader.iterate(b"nothing")) == []
        assert reader.get(b"auth", b"authEnabled") == b"\0"
        assert reader.get(b"auth", b"other") is None
