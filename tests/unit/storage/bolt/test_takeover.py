"""Take-over: complete or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.storage.backend import Backend
from etcdpy.storage.bolt.pages import BoltError
from etcdpy.storage.bolt.takeover import import_bolt, open_or_take_over, read_consistent_index
from etcdpy.storage.bolt.writer import BoltWriter
from etcdpy.storage.schema import buckets, meta
from etcdpy.storage.schema.revisions import encode_revision

Content = dict[bytes, list[tuple[bytes, bytes]]]


def write_bolt(path: Path, content: Content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        writer = BoltWriter(file)
        for name, items in sorted(content.items()):
            writer.add_bucket(name, [items])
        writer.finish()
    return path


def content_at(index: int) -> Content:
    return {
        b"authUsers": [(b"a", b"1"), (b"b" * 600, b"2")],
        b"key": [(encode_revision(main, 0), b"v%d" % main) for main in range(2, 3000)],
        b"meta": [(meta.CONSISTENT_INDEX, meta.encode_u64(index)), (meta.TERM, meta.encode_u64(4))],
    }


def test_everything_is_taken_over(tmp_path: Path) -> None:
    content = content_at(77)
    write_bolt(tmp_path / "snap" / "db", content)
    for _ in range(2):  # The second start finds both, and the bbolt file is not newer.
        backend = open_or_take_over(tmp_path)
        assert (backend.consistent_index, backend.term) == (77, 4)
        assert backend.scan(buckets.KEY, b"", None) == content[b"key"]
        assert backend.scan(buckets.AUTH_USERS, b"", None) == content[b"authUsers"]
        assert backend._store.read_origin() == "bbolt"
        backend.close()
    assert read_consistent_index(tmp_path / "snap" / "db") == 77


def test_without_a_bbolt_file_a_store_is_made(tmp_path: Path) -> None:
    backend = open_or_take_over(tmp_path, batch_limit=5)
    assert backend._store.read_origin() == "new"
    backend.close()


def test_a_newer_bbolt_file_is_refused(tmp_path: Path) -> None:
    write_bolt(tmp_path / "snap" / "db", content_at(5))
    open_or_take_over(tmp_path).close()
    write_bolt(tmp_path / "snap" / "db", content_at(6))
    with pytest.raises(StorageError, match="at raft index 6, newer than our store at 5"):
        open_or_take_over(tmp_path)
    Backend.open(tmp_path).close()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({b"strange": []}, "does not know: b'strange'"),
        ({b"key": [(b"not a revision", b"")]}, "not a revision"),
        ({b"meta": [(meta.CONSISTENT_INDEX, b"7")]}, "instead of 8"),
        ({b"lease": [(b"short", b"")]}, "not a lease id"),
    ],
)
def test_what_we_cannot_keep_is_refused_and_leaves_nothing(tmp_path: Path, content: Content, text: str) -> None:
    path = write_bolt(tmp_path / "db", content)
    with pytest.raises(BoltError, match=text):
        import_bolt(path, tmp_path)
    assert [entry.name for entry in (tmp_path / "store").iterdir()] == ["lock"]


def test_a_failed_import_keeps_the_old_store(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    backend.put(buckets.LEASE, bytes(8), b"kept")
    backend.end_entry(3, 1)
    backend.close()
    data = bytearray(write_bolt(tmp_path / "db", content_at(9)).read_bytes())
    data[30 * 4096] ^= 0xFF
    (tmp_path / "db").write_bytes(data)

    with pytest.raises(BoltError):
        import_bolt(tmp_path / "db", tmp_path)

    backend = Backend.open(tmp_path)
    assert (backend.consistent_index, backend.get(buckets.LEASE, bytes(8))) == (3, b"kept")
    backend.close()


def test_an_import_replaces_a_store(tmp_path: Path) -> None:
    Backend.open(tmp_path).close()
    import_bolt(write_bolt(tmp_path / "db", content_at(9)), tmp_path, origin="snapshot")
    backend = Backend.open(tmp_path)
    assert backend.consistent_index == 9
    assert backend._store.read_origin() == "snapshot"
    backend.close()
    assert [path.name for path in (tmp_path / "store").iterdir() if path.is_dir()] == ["00000002"]
