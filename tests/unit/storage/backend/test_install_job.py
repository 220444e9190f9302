"""Another content in the place of the store's: only when told to, whole, and not by a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.storage.backend import Backend
from etcdpy.storage.backend.generation import Store
from etcdpy.storage.backend.install_job import InstallJob
from etcdpy.storage.backend.jobs import JobError
from etcdpy.storage.backend.reader import Reader
from etcdpy.storage.bolt.takeover import build_generation
from etcdpy.storage.schema import buckets
from etcdpy.storage.schema.buckets import AUTH


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = Backend.open(tmp_path / "ours")
    write(opened, b"old", index=3)
    opened.flush()
    yield opened
    opened.close()


def write(backend: Backend, value: bytes, *, index: int) -> None:
    backend.put(AUTH, b"key", value)
    backend.end_entry(index, 1)


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A bbolt file with other content, at entry 70."""
    other, path = Backend.open(tmp_path / "theirs"), tmp_path / "snapshot.db"
    write(other, b"new", index=70)
    job = other.start_export(path)
    poll_until(other, job.poll)
    other.close()
    return path


def read_key(reader: Reader) -> bytes | None:
    return reader.get(AUTH, b"key")


def poll_until(backend: Backend, is_done: Callable[[], bool]) -> None:
    while not is_done():
        backend.poll(0.0)


def built(backend: Backend, snapshot: Path) -> InstallJob:
    job = backend.start_install(lambda store: build_generation(store, snapshot), read_key)
    poll_until(backend, job.is_built)
    return job


def test_the_new_content_counts_when_it_is_switched_to_and_not_before(backend: Backend, snapshot: Path) -> None:
    job = built(backend, snapshot)
    for _ in range(10):
        backend.poll(0.0)
    assert (backend.get(AUTH, b"key"), backend.consistent_index, job.poll()) == (b"old", 3, False)

    job.switch()
    poll_until(backend, job.poll)

    assert job.content == b"new"
    assert (backend.get(AUTH, b"key"), backend.consistent_index, backend.committed_index) == (b"new", 70, 70)


def test_what_was_buffered_is_dropped_and_writing_goes_on(backend: Backend, snapshot: Path, tmp_path: Path) -> None:
    job = built(backend, snapshot)
    write(backend, b"buffered", index=4)
    backend.put(buckets.LEASE, b"leftover", b"x")
    backend.end_batch()
    job.switch()
    poll_until(backend, job.poll)
    assert (backend.get(AUTH, b"key"), backend.get(buckets.LEASE, b"leftover")) == (b"new", None)

    write(backend, b"after", index=71)
    backend.close()

    reopened = Backend.open(tmp_path / "ours")
    assert (reopened.get(AUTH, b"key"), reopened.consistent_index) == (b"after", 71)
    reopened.close()


def test_an_end_before_the_switch_leaves_the_old_content(backend: Backend, snapshot: Path, tmp_path: Path) -> None:
    built(backend, snapshot)
    backend.close()

    reopened = Backend.open(tmp_path / "ours")
    assert reopened.get(AUTH, b"key") == b"old"
    reopened.close()


def test_a_file_that_is_none_fails_the_job_and_not_the_store(backend: Backend, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"no bbolt file" * 1000)
    job = backend.start_install(lambda store: build_generation(store, garbage), read_key)

    with pytest.raises(JobError, match="installation"):
        poll_until(backend, job.is_built)

    write(backend, b"goes on", index=4)
    backend.flush()
    assert backend.get(AUTH, b"key") == b"goes on"


def test_commits_wait_for_an_installation_only_as_long_as_it_goes_on(backend: Backend, snapshot: Path) -> None:
    job = built(backend, snapshot)
    write(backend, b"waits", index=4)
    backend.commit_soon()
    for _ in range(10):
        backend.poll(1.0)
    assert backend.committed_index == 3

    job.cancel()
    backend.flush()

    assert backend.committed_index == 4


def test_what_is_not_built_cannot_be_switched_to(backend: Backend) -> None:
    def never(store: Store) -> Path:
        raise StorageError("it takes its time")

    with pytest.raises(InvariantError):
        backend.start_install(never, read_key).switch()
