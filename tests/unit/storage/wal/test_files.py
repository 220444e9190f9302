from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.storage.wal import files

LOCK_AND_WAIT = """
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDWR)
if sys.argv[2] == "flock":
    fcntl.flock(fd, fcntl.LOCK_EX)
else:
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["flock", "ofd"])
def test_a_file_locked_in_either_way_by_another_process_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    path.touch()
    command = [sys.executable, "-c", LOCK_AND_WAIT, str(path), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"locked\n"
        with pytest.raises(StorageError, match="locked by another process"):
            files.open_locked(str(path), os.O_RDWR)
        holder.communicate(b"")
    os.close(files.open_locked(str(path), os.O_RDWR))


def test_a_second_open_in_the_same_process_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    fd = files.open_locked(path, os.O_RDWR | os.O_CREAT)
    with pytest.raises(StorageError, match="locked"):
        files.open_locked(path, os.O_RDWR)
    os.close(fd)
    os.close(files.open_locked(path, os.O_RDWR))


def test_a_full_disk_is_an_error() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space left"):
            files.write_whole(fd, b"data", 0)
    finally:
        os.close(fd)


def test_preallocated_bytes_are_zeros_on_disk(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    files.preallocate(fd, 1 << 20)
    assert os.fstat(fd).st_blocks * 512 >= 1 << 20
    assert files.read_whole(fd, "file") == bytes(1 << 20)
    os.close(fd)


def test_an_atomic_write_leaves_one_private_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_atomically(str(path), b"one")
    files.write_atomically(str(path), b"two")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_failed_atomic_write_is_an_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    (tmp_path / "file.tmp").mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        files.write_atomically(str(path), b"new")
    assert path.read_bytes() == b"old"


def test_purging_removes_the_oldest_and_stops_at_a_locked_one(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.wal").touch()
    (tmp_path / "0.tmp").touch()
    fd = files.open_locked(str(tmp_path / "2.wal"), os.O_RDWR)
    assert files.purge_files(str(tmp_path), ".wal", 1) == ["0.wal", "1.wal"]
    os.close(fd)
    assert files.purge_files(str(tmp_path), ".wal", 3) == ["2.wal"]
    assert files.purge_files(str(tmp_path), ".wal", 3) == []
    assert (tmp_path / "0.tmp").exists()


def test_to_begin_to_write_may_be_impossible_but_does_not_fail_in_silence(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        files.start_writing(writing, 0, 1)  # the system says that this is nothing to begin with
    finally:
        os.close(reading)
        os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        files.start_writing(writing, 0, 1)
