"""Defragmentation at the start: when it frees at least what the flag says, and not otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.base.log import silent_logger
from etcdpy.embed.bootstrap_defrag import MEGABYTE, maybe_defragment
from etcdpy.embed.node_files import open_backend
from etcdpy.server.bootstrap import Folders, recover
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema.buckets import AUTH
from tests.unit.embed.open_node import make_config
from tests.unit.server.spine import IDENTITY


def holey_backend(directory: Path) -> Backend:
    """A store of which about four megabytes are free pages."""
    backend = Backend.open(directory)
    for number in range(64):
        backend.put(AUTH, b"%d" % number, bytes(64 * 1024))
    backend.end_entry(1, 1)
    backend.flush()
    for number in range(1, 64):
        backend.delete(AUTH, b"%d" % number)
    backend.end_entry(2, 1)
    backend.flush()
    return backend


def test_only_what_pays_is_done(tmp_path: Path) -> None:
    backend = holey_backend(tmp_path)
    size = backend.size_bytes()
    assert size - backend.size_in_use_bytes() >= 3 * MEGABYTE

    assert not maybe_defragment(backend, 0, silent_logger())
    assert not maybe_defragment(backend, 100, silent_logger())
    assert backend.size_bytes() == size

    assert maybe_defragment(backend, 3, silent_logger())
    assert backend.size_bytes() < size - 3 * MEGABYTE
    assert backend.get(AUTH, b"0") == bytes(64 * 1024) and backend.get(AUTH, b"1") is None
    backend.close()

    again = Backend.open(tmp_path)
    assert again.size_bytes() < size - 3 * MEGABYTE and again.consistent_index == 2
    again.close()


@pytest.mark.parametrize(("threshold", "is_done"), [(0, False), (3, True), (100, False)])
def test_the_flag_decides(tmp_path: Path, threshold: int, is_done: bool) -> None:
    folders = Folders(member=tmp_path, wal=tmp_path / "wal")
    recovered = recover(folders, IDENTITY)
    holey = holey_backend(tmp_path)
    size = holey.size_bytes()
    holey.close()
    config = make_config(tmp_path, bootstrap_defrag_threshold_megabytes=threshold)

    backend = open_backend(config, folders, recovered, silent_logger(), lambda: None)

    assert (backend.size_bytes() < size - 3 * MEGABYTE) == is_done
    backend.close()
    recovered.wal.close()
