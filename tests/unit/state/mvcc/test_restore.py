"""Reading back what cannot be a history."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.state.mvcc.store import Store
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema.buckets import KEY, META
from etcdpy.storage.schema.meta import FINISHED_COMPACT_REVISION
from etcdpy.storage.schema.revisions import encode_revision


@pytest.mark.parametrize(
    ("bucket", "key", "value"),
    [
        (KEY, b"no revision", b"\x0a\x01a"),
        (KEY, encode_revision(2, 0), b"\x0a\xffa"),
        (KEY, encode_revision(2, 0, tombstone=True), b"\x12\x01a"),
        (META, FINISHED_COMPACT_REVISION, b"3"),
    ],
)
def test_a_lying_disk_is_refused(tmp_path: Path, bucket: int, key: bytes, value: bytes) -> None:
    backend = Backend.open(tmp_path)
    try:
        backend.put(bucket, key, value)  # type: ignore[arg-type]
        backend.end_batch()
        with pytest.raises(StorageError):
            Store(backend).restore()
    finally:
        backend.close()


def test_a_tombstone_without_its_key_is_a_dead_key(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    try:
        backend.put(KEY, encode_revision(5, 0, tombstone=True), b"\x0a\x01a")
        backend.end_batch()
        store = Store(backend)
        store.restore()
        store.index.check_invariants()
        assert (store.keys_total, store.current_revision) == (0, 5)
        assert store.put(b"a", b"").revision == 6
        assert store.index.created_and_version(b"a") == (6, 1)
    finally:
        backend.close()
