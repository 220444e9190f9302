from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.storage.wal.names import SegmentName, list_segments, parse_segment_name, select_segments

NAMES = [SegmentName(3, 100), SegmentName(4, 200), SegmentName(5, 200), SegmentName(6, 350)]


def test_names_are_sequence_and_index_in_hex() -> None:
    assert SegmentName(0x1A, 0xBEEF).file_name() == "000000000000001a-000000000000beef.wal"
    assert parse_segment_name("000000000000001a-000000000000beef.wal") == SegmentName(0x1A, 0xBEEF)


@pytest.mark.parametrize(
    "name",
    ["0.tmp", "1-1.wal", "000000000000001a-000000000000beef.wal.broken", "000000000000001A-000000000000BEEF.wal"],
)
def test_other_names_are_no_segments(name: str) -> None:
    assert parse_segment_name(name) is None


def test_segments_are_listed_by_age(tmp_path: Path) -> None:
    for name in [*reversed(NAMES)]:
        (tmp_path / name.file_name()).touch()
    (tmp_path / "0.tmp").touch()
    assert list_segments(str(tmp_path)) == NAMES
    assert list_segments(str(tmp_path / "nowhere")) == []


@pytest.mark.parametrize(("index", "first"), [(100, 3), (199, 3), (200, 5), (349, 5), (350, 6), (10_000, 6)])
def test_reading_begins_with_the_last_segment_begun_at_or_below_the_index(index: int, first: int) -> None:
    assert select_segments("d", NAMES, index)[0].sequence == first


def test_an_index_before_the_first_segment_is_refused() -> None:
    with pytest.raises(StorageError, match="file not found"):
        select_segments("d", NAMES, 99)


def test_a_missing_segment_is_refused_where_it_is_needed() -> None:
    gap = [NAMES[0], NAMES[2], NAMES[3]]
    assert select_segments("d", gap, 300) == gap[1:]
    with pytest.raises(StorageError, match="nothing between"):
        select_segments("d", gap, 150)


def test_a_segment_may_begin_before_its_predecessor() -> None:
    """A new leader replaced the tail just before the cut."""
    names = [SegmentName(0, 0), SegmentName(1, 90), SegmentName(2, 80)]
    assert select_segments("d", names, 79) == names
    assert select_segments("d", names, 95) == names[2:]
