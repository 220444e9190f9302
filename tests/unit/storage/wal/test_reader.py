from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.pb.raft_values import ConfState, Entry, HardState
from etcdpy.storage.wal import Wal, WalSnapshot, read_contents, valid_snapshot_entries


def write_log(directory: Path, segment_bytes: int = 2000) -> list[Entry]:
    """Write sixty entries over several segments, with snapshots noted at 20, 40 and 60."""
    wal = Wal.create(str(directory), b"meta", segment_bytes=segment_bytes)
    written = []
    for index in range(1, 61):
        entry = Entry(1, index, 0, b"%d" % index * 30)
        written.append(entry)
        wal.persist(wal.encode([entry], HardState(1, 3, index - 1)))
        if index % 20 == 0:
            wal.persist(wal.encode_snapshot(WalSnapshot(index, 1, ConfState([3]))))
    wal.close()
    return written


def test_snapshots_beyond_the_commit_are_not_valid(tmp_path: Path) -> None:
    write_log(tmp_path / "wal")
    # The commit of 60 was never written.
    assert [snapshot.index for snapshot in valid_snapshot_entries(str(tmp_path / "wal"))] == [0, 20, 40]


@pytest.mark.parametrize("start", [0, 20, 40])
def test_a_log_of_many_segments_is_read_from_each_snapshot(tmp_path: Path, start: int) -> None:
    written = write_log(tmp_path / "wal")
    assert len(list((tmp_path / "wal").glob("*.wal"))) > 3
    contents = read_contents(str(tmp_path / "wal"), WalSnapshot(start, 1 if start else 0))
    assert contents.entries == written[start:]
    assert contents.hard_state == HardState(1, 3, 59)


def test_a_removed_segment_is_noticed(tmp_path: Path) -> None:
    write_log(tmp_path / "wal")
    segments = sorted((tmp_path / "wal").glob("*.wal"))
    segments[2].unlink()
    with pytest.raises(StorageError, match="nothing between"):
        read_contents(str(tmp_path / "wal"), WalSnapshot())
    with pytest.raises(StorageError, match="nothing between"):
        valid_snapshot_entries(str(tmp_path / "wal"))


def test_an_exchanged_segment_is_noticed(tmp_path: Path) -> None:
    write_log(tmp_path / "wal")
    wal = Wal.create(str(tmp_path / "other"), b"meta", segment_bytes=2000)
    for index in range(1, 61):
        wal.persist(wal.encode([Entry(1, index, 0, b"%d" % index * 31)], HardState(1, 3, index - 1)))
    wal.close()
    ours, theirs = (sorted((tmp_path / name).glob("*.wal")) for name in ("wal", "other"))
    ours[2].write_bytes(theirs[2].read_bytes())
    with pytest.raises(StorageError, match="crc mismatch"):
        read_contents(str(tmp_path / "wal"), WalSnapshot())


@pytest.mark.parametrize("cut", [1, 8, 100])
def test_a_cut_segment_in_the_middle_is_noticed(tmp_path: Path, cut: int) -> None:
    write_log(tmp_path / "wal")
    segment = sorted((tmp_path / "wal").glob("*.wal"))[1]
    segment.write_bytes(segment.read_bytes()[:-cut])
    with pytest.raises(StorageError, match=segment.name):
        read_contents(str(tmp_path / "wal"), WalSnapshot())


def test_a_middle_segment_cut_between_two_records_is_noticed(tmp_path: Path) -> None:
    """Nothing is wrong in the segment itself; the next one's checksum does not continue it."""
    write_log(tmp_path / "wal")
    first, second = sorted((tmp_path / "wal").glob("*.wal"))[:2]
    data = first.read_bytes()
    last_record_at = 0
    position = 0
    while position < len(data):
        last_record_at = position
        length = int.from_bytes(data[position : position + 7], "little")
        position += 8 + (length + 7 & ~7)
    first.write_bytes(data[:last_record_at])
    with pytest.raises(StorageError, match=f"{second.name} .*crc mismatch"):
        read_contents(str(tmp_path / "wal"), WalSnapshot())


def test_no_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="file not found"):
        read_contents(str(tmp_path), WalSnapshot())
    assert valid_snapshot_entries(str(tmp_path)) == []
