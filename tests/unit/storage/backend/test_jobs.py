"""Export, defragmentation and Hash beside a store that goes on being written."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.storage.backend import Backend
from etcdpy.storage.backend.defragment_job import DefragmentJob
from etcdpy.storage.backend.export_job import OPEN_SECONDS_MAX, ExportJob
from etcdpy.storage.backend.jobs import JobError
from etcdpy.storage.bolt.reader import BoltReader
from etcdpy.storage.bolt.takeover import import_bolt
from etcdpy.storage.schema import buckets
from etcdpy.storage.schema.revisions import encode_revision


class Writer:
    """Writes one entry after the other, and knows what has to be there."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.expected: dict[bytes, bytes] = {}
        self.index = backend.consistent_index

    def write(self, entries: int = 1) -> None:
        for _ in range(entries):
            self.index += 1
            key = encode_revision(self.index, 0)
            self.expected[key] = b"value %d" % self.index * 20
            self.backend.put(buckets.KEY, key, self.expected[key])
            if self.index % 3 == 0:
                del self.expected[encode_revision(self.index - 2, 0)]
                self.backend.delete(buckets.KEY, encode_revision(self.index - 2, 0))
            self.backend.end_entry(self.index, 1)

    def check(self) -> None:
        assert dict(self.backend.scan(buckets.KEY, b"", None)) == self.expected


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = Backend.open(tmp_path)
    yield opened
    opened.close()


def drive(backend: Backend, job: ExportJob | DefragmentJob, writer: Writer | None = None) -> None:
    while not job.poll():
        if writer is not None:
            writer.write()
        backend.poll(0.0)


def test_an_export_holds_exactly_the_entries_up_to_its_index(backend: Backend, tmp_path: Path) -> None:
    writer = Writer(backend)
    writer.write(1000)
    backend.commit_soon()
    backend.poll(0.0)
    writer.write(500)
    job = backend.start_export(tmp_path / "db")
    while job.index is None:
        backend.poll(0.0)
    expected, index = dict(writer.expected), writer.index
    drive(backend, job, writer)

    assert job.index == index < writer.index
    with BoltReader(tmp_path / "db") as reader:
        assert {key: value for items in reader.iterate(b"key") for key, value in items} == expected
        assert reader.get(b"meta", b"consistent_index") == index.to_bytes(8, "big")
    content = (tmp_path / "db").read_bytes()
    assert (job.size, job.sha256) == (len(content), hashlib.sha256(content).digest())
    writer.check()
    backend.flush()
    assert backend.committed_index == writer.index


def test_an_export_of_an_untouched_store_has_all_buckets(backend: Backend, tmp_path: Path) -> None:
    drive(backend, backend.start_export(tmp_path / "db"))
    with BoltReader(tmp_path / "db") as reader:
        assert reader.bucket_names() == list(buckets.NAMES)


def test_two_exports_and_a_defragmentation_at_once(backend: Backend, tmp_path: Path) -> None:
    writer = Writer(backend)
    writer.write(2000)
    jobs: list[ExportJob | DefragmentJob] = [
        backend.start_export(tmp_path / "a"),
        backend.start_defragment(),
        backend.start_export(tmp_path / "b"),
    ]
    for job in jobs:
        drive(backend, job, writer)
    for name in ("a", "b"):
        with BoltReader(tmp_path / name) as reader:
            assert reader.bucket_names() == list(buckets.NAMES)
    writer.check()


def test_a_killed_child_fails_the_export_only(backend: Backend, tmp_path: Path) -> None:
    writer = Writer(backend)
    writer.write(100)
    job = backend.start_export(tmp_path / "db")
    while job._child is None:
        backend.poll(0.0)
    os.kill(job._child.pid, signal.SIGKILL)
    with pytest.raises(JobError, match="status -9"):
        drive(backend, job, writer)
    assert not (tmp_path / "db").exists()
    backend.flush()
    writer.check()


def test_a_child_that_never_opens_is_given_up(backend: Backend, tmp_path: Path) -> None:
    Writer(backend).write()
    job = backend.start_export(tmp_path / "db")
    while job._child is None:
        backend.poll(0.0)
    os.kill(job._child.pid, signal.SIGSTOP)
    backend.poll(OPEN_SECONDS_MAX + 1)
    with pytest.raises(JobError, match="did not open the store"):
        job.poll()
    backend.flush()


def test_an_export_that_cannot_be_written_says_why(backend: Backend, tmp_path: Path) -> None:
    job = backend.start_export(tmp_path / "missing" / "db")
    with pytest.raises(JobError, match="No such file or directory"):
        drive(backend, job)


def test_one_that_is_cancelled_from_outside_is_left_alone(backend: Backend, tmp_path: Path) -> None:
    """It was in the backend's list until then, and is not stepped once more; the next one has its turn."""
    writer = Writer(backend)
    writer.write(10)
    for polls in range(4):
        export, defragment = backend.start_export(tmp_path / f"cancelled {polls}"), backend.start_defragment()
        for _ in range(polls):
            backend.poll(0.0)
        export.cancel()
        defragment.cancel()
        writer.write()
        backend.poll(0.0)

    drive(backend, backend.start_export(tmp_path / "whole"), writer)
    writer.check()


def test_closing_cancels_what_goes_on(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    writer = Writer(backend)
    writer.write(10)
    export, defragment = backend.start_export(tmp_path / "db"), backend.start_defragment()
    while export._child is None:
        backend.poll(0.0)
    child = export._child
    hashing = backend.start_hash()
    backend.close()
    assert child.returncode is not None
    for job in (export, defragment):
        with pytest.raises(JobError, match="cancelled"):
            job.poll()
    hashing.close()
    reopened = Backend.open(tmp_path)
    assert dict(reopened.scan(buckets.KEY, b"", None)) == writer.expected
    reopened.close()


def test_defragmentation_gives_pages_back_and_keeps_every_write(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    writer = Writer(backend)
    writer.write(3000)
    backend.flush()
    for main in range(1, 2500):
        backend.delete(buckets.KEY, encode_revision(main, 0))
        writer.expected.pop(encode_revision(main, 0), None)
    backend.end_batch()
    backend.flush()
    before, path = backend.size_bytes(), backend.generation.path
    hash_before = backend.hash()

    job = backend.start_defragment()
    view = backend.start_hash()
    for _ in range(20):
        writer.write()
        backend.poll(0.0)
    drive(backend, job)
    backend.flush()

    assert backend.size_bytes() < before // 2
    assert backend.generation.path != path and path.exists()
    while not view.step():
        pass
    assert view.crc == hash_before
    writer.check()
    writer.write(10)
    backend.close()
    backend = Backend.open(tmp_path)
    Writer(backend).backend.flush()
    assert dict(backend.scan(buckets.KEY, b"", None)) == writer.expected
    assert backend.consistent_index == writer.index
    assert not path.exists()
    backend.close()


def test_a_defragmentation_without_room_fails_and_changes_nothing(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(backend)
    writer.write(10)

    def refuse() -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backend._store, "begin_generation", refuse)
    job = backend.start_defragment()
    with pytest.raises(JobError, match="No space left"):
        drive(backend, job, writer)
    backend.flush()
    writer.check()


def test_a_pointer_that_does_not_move_poisons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend.open(tmp_path)
    Writer(backend).write(10)

    def refuse(path: Path, *, origin: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(backend._store, "finish_generation", refuse)
    job = backend.start_defragment()
    with pytest.raises(StorageError, match="Input/output error"):
        drive(backend, job)
    with pytest.raises(StorageError):
        backend.put(buckets.KEY, b"x", b"")
    backend.close()
    reopened = Backend.open(tmp_path)
    assert reopened.consistent_index == 10
    reopened.close()


def test_hash_ignores_the_index_and_sees_everything_else(backend: Backend) -> None:
    writer = Writer(backend)
    writer.write(3000)
    first = backend.hash()
    backend.end_entry(writer.index + 1, 9)
    assert backend.hash() == first
    backend.flush()
    assert backend.hash() == first
    backend.put(buckets.META, b"confState", b"{}")
    backend.end_batch()
    assert backend.hash() != first


def test_hash_is_of_the_moment_when_it_began(backend: Backend) -> None:
    writer = Writer(backend)
    writer.write(5000)
    first = backend.hash()
    job = backend.start_hash()
    while not job.step():
        writer.write()
        backend.commit_soon()
        backend.poll(0.0)
    assert job.crc == first
    assert job.step() and job.crc == first


def test_there_and_back_again(backend: Backend, tmp_path: Path) -> None:
    """Export, take over, and the same hash: with names that LMDB cannot hold."""
    Writer(backend).write(200)
    for size in (1, 511, 512, 4000, 30_000):
        backend.put(buckets.AUTH_USERS, b"u" * size, b"user")
    backend.end_batch()
    drive(backend, backend.start_export(tmp_path / "db"))
    import_bolt(tmp_path / "db", tmp_path / "other")
    other = Backend.open(tmp_path / "other")
    assert other.hash() == backend.hash()
    assert other.scan(buckets.AUTH_USERS, b"", None) == backend.scan(buckets.AUTH_USERS, b"", None)
    assert (other.consistent_index, other.term) == (200, 1)
    other.close()


def test_a_job_that_waits_for_another_asks_for_no_poll(backend: Backend, tmp_path: Path) -> None:
    """Whoever polls as long as there is work would do nothing else until the other is through."""
    writer = Writer(backend)
    writer.write(10)
    first = backend.start_export(tmp_path / "first")
    while first.fileno() is None:
        backend.poll(0.0)
    assert first._child is not None
    os.kill(first._child.pid, signal.SIGSTOP)
    second = backend.start_export(tmp_path / "second")
    third = backend.start_defragment()
    for _ in range(3):
        backend.poll(0.0)

    assert not backend.has_work()
    os.kill(first._child.pid, signal.SIGCONT)
    for job in (first, second, third):
        drive(backend, job, writer)
    writer.check()
