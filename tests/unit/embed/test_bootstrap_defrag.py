"""Defragmentation at the start: when it frees at least what the flag says, and not otherwise."""

from __future__ import annotations

from pathlib import Path

from etcdpy.base.log import silent_logger
from etcdpy.embed.bootstrap_defrag import MEGABYTE, maybe_defragment
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema.buckets import AUTH


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
