"""Offline defragmentation by directory: a store of ours, and a bbolt file where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etcdpy.cli.etcdctl.exits import Exit
from etcdpy.cli.etcdutl.command.defrag import PANICKED, defragment
from etcdpy.storage.backend import Backend
from etcdpy.storage.bolt.writer import BoltWriter
from etcdpy.storage.schema import buckets


def fields_of(line: str) -> dict[str, object]:
    record = json.loads(line.split("\t")[4])
    assert isinstance(record, dict)
    return record


def fill_store(member: Path) -> None:
    for writes in (True, False):
        backend = Backend.open(member)
        for number in range(500):
            key = b"%08d" % number
            if writes:
                backend.put(buckets.LEASE, key, b"v" * 3_000)
            else:
                backend.delete(buckets.LEASE, key)
        backend.end_entry(1 if writes else 2, 1)
        backend.close()


def test_our_store_becomes_smaller(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    member = tmp_path / "member"
    member.mkdir()
    fill_store(member)

    defragment(str(tmp_path))

    begin, end = capfd.readouterr().err.splitlines()
    assert begin.split("\t")[1:4] == ["info", "backend/backend.go:481", "defragmenting"]
    assert fields_of(begin)["path"] == fields_of(end)["path"] == str(member / "store")
    shrunk = fields_of(end)["current-db-size-bytes-diff"]
    assert isinstance(shrunk, int) and shrunk < -1_000_000
    backend = Backend.open(member)
    assert backend.consistent_index == 2
    backend.close()


def test_a_bolt_file_is_looked_at_where_there_is_no_store(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "member/snap/db"
    path.parent.mkdir(parents=True)
    with open(path, "wb") as file:
        writer = BoltWriter(file)
        writer.write_page(2, 0, b"", b"")  # free: no tree leads to it
        writer.add_bucket(b"key", [[(b"k", b"v")]])
        writer.finish()

    defragment(str(tmp_path))

    assert fields_of(capfd.readouterr().err.splitlines()[1])["current-db-size-bytes-diff"] == -4096


def test_a_directory_without_a_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exit) as raised:
        defragment(str(tmp_path))
    assert raised.value.code == PANICKED
    assert list(tmp_path.iterdir()) == []
