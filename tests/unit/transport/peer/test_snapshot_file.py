"""A received database: durable under its name or not there at all, and never the last of the disk."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from etcdpy.transport.peer.snapshot_file import WAITING_BYTES_MAX, SnapshotFile
from tests.unit.transport.peer.members import run


def new_file(directory: Path, room: list[str] | None = None) -> SnapshotFile:
    called: list[str] = [] if room is None else room
    return SnapshotFile(str(directory), 0xAB, rng=random.Random(1), on_room=lambda: called.append("room"))


def test_pieces_become_a_file_under_its_index(tmp_path: Path) -> None:
    async def body() -> None:
        file = new_file(tmp_path)
        saving = asyncio.ensure_future(file.wait_saved(0))
        for piece in (b"a" * 1_000, b"b", b"c" * 70_000):
            file.feed(piece)
            await asyncio.sleep(0.001)
        file.end()
        path = await saving
        assert path == str(tmp_path / "00000000000000ab.snap.db") and file.size_bytes == 71_001
        file.discard()
        assert Path(path).read_bytes() == b"a" * 1_000 + b"b" + b"c" * 70_000
        assert Path(path).stat().st_mode & 0o777 == 0o600

    run(body())


def test_a_newer_copy_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    async def body() -> None:
        for content in (b"old", b"new"):
            file = new_file(tmp_path)
            file.feed(content)
            file.end()
            path = await file.wait_saved(3)
        assert Path(path).read_bytes() == b"new" and len(list(tmp_path.iterdir())) == 1

    run(body())


def test_a_full_one_says_when_it_has_room(tmp_path: Path) -> None:
    async def body() -> None:
        room: list[str] = []
        file = new_file(tmp_path, room)
        while not file.is_full:
            file.feed(bytes(WAITING_BYTES_MAX // 2))
        file.end()
        await file.wait_saved(0)
        assert room == ["room"] and not file.is_full

    run(body())


def test_what_was_begun_is_removed(tmp_path: Path) -> None:
    """Its name is one that a start after a crash removes."""

    async def body() -> None:
        file = new_file(tmp_path)
        saving = asyncio.ensure_future(file.wait_saved(0))
        file.feed(b"x")
        while not list(tmp_path.iterdir()):
            await asyncio.sleep(0.001)
        assert list(tmp_path.iterdir())[0].name.removeprefix("tmp").isdigit()
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving
        file.discard()
        file.discard()
        assert not list(tmp_path.iterdir())

    run(body())


def test_a_database_larger_than_the_disk_is_refused_before_it_comes(tmp_path: Path) -> None:
    async def body() -> None:
        space = os.statvfs(tmp_path)
        file = new_file(tmp_path)
        with pytest.raises(OSError, match="no space left"):
            await file.wait_saved(space.f_bavail * space.f_frsize)
        file.discard()
        assert not list(tmp_path.iterdir())

    run(body())
