from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.pb.raft_values import ConfState, Snapshot
from etcdpy.storage.snap import Snapshotter, snap_db_file_name, snap_file_name
from etcdpy.storage.snap.snapshotter import BrokenSnapshot, decode_snapshot_file, encode_snapshot_file
from etcdpy.storage.wal import WalSnapshot


def snapshot(index: int, term: int = 1) -> Snapshot:
    return Snapshot(b'{"Root":%d}' % index, index, term, ConfState([7, 300]))


def same(left: Snapshot | None, right: Snapshot) -> bool:
    return left is not None and (left.data, left.index, left.term, left.conf_state) == (
        right.data,
        right.index,
        right.term,
        right.conf_state,
    )


def test_a_saved_snapshot_is_a_private_file_of_go_s_bytes(tmp_path: Path) -> None:
    Snapshotter(str(tmp_path)).save(snapshot(0x1F, 2))
    [path] = tmp_path.iterdir()
    assert path.name == "0000000000000002-000000000000001f.snap"
    assert path.stat().st_mode & 0o777 == 0o600
    content = path.read_bytes()
    # snappb.snapshot: crc, then the raftpb.Snapshot with its conf_state, index and term; every number is written.
    assert content[:1] == b"\x08"
    metadata = bytes.fromhex("0a07 0807 08ac02 2800 101f 1802")
    inner = b"\x0a\x0b" + b'{"Root":31}' + b"\x12" + bytes([len(metadata)]) + metadata
    assert content.endswith(b"\x12" + bytes([len(inner)]) + inner)


def test_the_newest_snapshot_that_the_wal_notes_is_loaded(tmp_path: Path) -> None:
    snapshotter = Snapshotter(str(tmp_path))
    for index, term in ((10, 1), (20, 1), (30, 2), (40, 3)):
        snapshotter.save(snapshot(index, term))
    noted = [WalSnapshot(0, 0), WalSnapshot(10, 1), WalSnapshot(20, 1), WalSnapshot(30, 2), WalSnapshot(40, 2)]
    assert same(snapshotter.load_newest_available(noted), snapshot(30, 2))
    assert same(snapshotter.load_newest_available(noted[:2]), snapshot(10, 1))
    assert snapshotter.load_newest_available(noted[:1]) is None
    assert same(snapshotter.load_newest(), snapshot(40, 3))


def test_a_broken_snapshot_is_put_aside_and_an_older_one_taken(tmp_path: Path) -> None:
    snapshotter = Snapshotter(str(tmp_path))
    snapshotter.save(snapshot(10))
    snapshotter.save(snapshot(20))
    newest = tmp_path / snap_file_name(term=1, index=20)
    damaged = newest.read_bytes()[:-1]
    newest.write_bytes(damaged)
    assert same(snapshotter.load_newest_available([WalSnapshot(10, 1), WalSnapshot(20, 1)]), snapshot(10))
    assert not newest.exists()
    assert Path(f"{newest}.broken").read_bytes() == damaged


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    content = encode_snapshot_file(snapshot(20))
    for position in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(BrokenSnapshot):
            decode_snapshot_file(bytes(damaged))
    for cut in range(len(content)):
        with pytest.raises(BrokenSnapshot):
            decode_snapshot_file(content[:cut])


def test_a_snapshot_under_another_s_name_is_broken(tmp_path: Path) -> None:
    snapshotter = Snapshotter(str(tmp_path))
    (tmp_path / snap_file_name(term=1, index=21)).write_bytes(encode_snapshot_file(snapshot(20)))
    assert snapshotter.load_newest_available([WalSnapshot(21, 1)]) is None
    assert (tmp_path / (snap_file_name(term=1, index=21) + ".broken")).exists()


def test_an_unreadable_snapshot_stops_the_member_and_stays(tmp_path: Path) -> None:
    """The disk fails now; the file may be good."""
    (tmp_path / snap_file_name(term=1, index=21)).mkdir()
    with pytest.raises(StorageError, match="cannot read"):
        Snapshotter(str(tmp_path)).load_newest()
    assert (tmp_path / snap_file_name(term=1, index=21)).exists()


def test_the_newest_are_kept(tmp_path: Path) -> None:
    snapshotter = Snapshotter(str(tmp_path))
    for index in range(1, 6):
        snapshotter.save(snapshot(index))
        Path(snapshotter.db_file_path(index)).touch()
    (tmp_path / "db").touch()
    removed = snapshotter.purge(2)
    assert sorted(removed) == sorted(
        [snap_file_name(term=1, index=i) for i in (1, 2, 3)] + [snap_db_file_name(i) for i in (1, 2, 3)]
    )
    assert snapshotter.list_names() == [snap_file_name(term=1, index=i) for i in (5, 4)]
    assert (tmp_path / "db").exists()
    with pytest.raises(InvariantError):
        snapshotter.purge(0)


def test_received_databases_older_than_the_snapshot_go(tmp_path: Path) -> None:
    snapshotter = Snapshotter(str(tmp_path))
    for index in (5, 9, 10, 11):
        Path(snapshotter.db_file_path(index)).touch()
    assert snapshotter.release_snap_dbs(10) == [snap_db_file_name(5), snap_db_file_name(9)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [snap_db_file_name(10), snap_db_file_name(11)]


def test_orphans_of_an_earlier_run_go_and_nothing_else(tmp_path: Path) -> None:
    orphans = ["db.tmp.1234", snap_file_name(term=1, index=2) + ".tmp", "tmp123456"]
    others = ["db", snap_file_name(term=1, index=2), snap_file_name(term=1, index=1) + ".broken", snap_db_file_name(3)]
    for name in orphans + others:
        (tmp_path / name).touch()
    assert sorted(Snapshotter(str(tmp_path)).remove_orphans()) == sorted(orphans)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


def test_a_failed_save_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        Snapshotter(str(tmp_path / "nowhere")).save(snapshot(1))
    with pytest.raises(InvariantError):
        Snapshotter(str(tmp_path)).save(Snapshot())
