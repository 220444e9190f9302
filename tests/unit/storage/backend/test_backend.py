"""The backend against a naive model, and its rules one by one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.storage.backend import Backend
from etcdpy.storage.backend.backend import CONGESTED_BYTES
from etcdpy.storage.backend.long_keys import PREFIX
from etcdpy.storage.schema import buckets, meta
from etcdpy.storage.schema.revisions import encode_revision


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = Backend.open(tmp_path)
    yield opened
    opened.close()


def commit_by_polling(backend: Backend, now: float = 0.0) -> None:
    """Drive the commit as an event loop would, until what was ended so far is on disk."""
    target = backend.consistent_index
    backend.commit_soon()
    while backend.committed_index != target:
        backend.poll(now)


def test_a_new_store_is_empty(backend: Backend) -> None:
    assert backend.get(buckets.KEY, b"a") is None
    assert backend.scan(buckets.KEY, b"", None) == []
    assert (backend.consistent_index, backend.term, backend.committed_index) == (0, 0, 0)


def test_reads_see_live_over_frozen_over_lmdb(backend: Backend) -> None:
    for index, value in enumerate((b"lmdb", b"frozen", b"live"), 1):
        backend.put(buckets.LEASE, b"%d" % index, value)
        backend.put(buckets.LEASE, b"same", value)
        backend.end_entry(index, 1)
        if value == b"lmdb":
            backend.flush()
        elif value == b"frozen":
            backend.commit_soon()
            backend.poll(0.0)
            assert backend.is_committing()

    assert backend.get(buckets.LEASE, b"same") == b"live"
    assert backend.get_many(buckets.LEASE, [b"3", b"x", b"1", b"2"]) == [b"live", None, b"lmdb", b"frozen"]
    assert backend.scan(buckets.LEASE, b"", None) == [
        (b"1", b"lmdb"),
        (b"2", b"frozen"),
        (b"3", b"live"),
        (b"same", b"live"),
    ]
    assert backend.committed_index == 1


def test_a_delete_hides_what_lies_below(backend: Backend) -> None:
    backend.put(buckets.LEASE, b"a", b"1")
    backend.put(buckets.LEASE, b"b", b"2")
    backend.end_entry(1, 1)
    backend.flush()

    backend.delete(buckets.LEASE, b"a")

    assert backend.get(buckets.LEASE, b"a") is None
    assert backend.scan(buckets.LEASE, b"", None, 1) == [(b"b", b"2")]
    backend.end_entry(2, 1)
    backend.flush()
    assert backend.scan(buckets.LEASE, b"", None) == [(b"b", b"2")]


def test_effects_and_index_survive_a_reopen(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    backend.put(buckets.KEY, encode_revision(2, 0), b"value")
    backend.end_entry(7, 3)
    backend.close()

    backend = Backend.open(tmp_path)

    assert (backend.consistent_index, backend.term) == (7, 3)
    assert backend.get(buckets.KEY, encode_revision(2, 0)) == b"value"
    assert backend.get(buckets.META, meta.CONSISTENT_INDEX) == bytes(7) + b"\x07"
    backend.close()


def test_an_entry_without_effects_moves_the_index_on_disk(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    backend.end_entry(5, 2)
    backend.flush()
    assert backend.committed_index == 5
    backend.close()


def test_nothing_freezes_inside_an_entry(backend: Backend) -> None:
    backend.put(buckets.LEASE, b"a", b"1")
    backend.end_entry(1, 1)
    backend.put(buckets.LEASE, b"half", b"2")

    backend.poll(0.0)
    backend.poll(1000.0)

    assert not backend.is_committing()
    with pytest.raises(InvariantError):
        backend.flush()
    with pytest.raises(InvariantError):
        backend.start_hash()
    backend.end_entry(2, 1)
    backend.poll(1000.0)
    assert backend.is_committing()


def test_the_interval_starts_with_the_first_write(backend: Backend) -> None:
    backend.poll(100.0)
    backend.put(buckets.LEASE, b"a", b"1")
    backend.end_entry(1, 1)

    backend.poll(100.0)
    backend.poll(100.05)
    assert not backend.is_committing()
    backend.poll(100.11)
    assert backend.is_committing()


def test_the_batch_limit_freezes_at_the_entry_boundary(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path, batch_limit=10)
    for number in range(10):
        assert not backend.is_committing()
        backend.put(buckets.LEASE, b"%d" % number, b"")
    backend.end_entry(1, 1)
    assert backend.is_committing()
    backend.close()


def test_background_writes_commit_without_an_entry(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    backend.put(buckets.META, meta.FINISHED_COMPACT_REVISION, encode_revision(9, 0))
    backend.end_batch()
    backend.close()
    backend = Backend.open(tmp_path)
    assert backend.get(buckets.META, meta.FINISHED_COMPACT_REVISION) == encode_revision(9, 0)
    assert backend.get(buckets.META, meta.CONSISTENT_INDEX) is None
    backend.close()


def test_the_index_never_goes_back(backend: Backend) -> None:
    backend.end_entry(5, 1)
    with pytest.raises(InvariantError, match="from 5 to 4"):
        backend.end_entry(4, 1)


def test_congestion_needs_a_commit_in_flight(backend: Backend) -> None:
    backend.put(buckets.LEASE, b"a", bytes(CONGESTED_BYTES))
    assert not backend.is_congested()
    backend.end_entry(1, 1)
    assert backend.is_committing() and not backend.is_congested()
    backend.put(buckets.LEASE, b"b", bytes(CONGESTED_BYTES))
    assert backend.is_committing() and backend.is_congested()


def test_what_the_log_does_not_hold_yet_is_in_no_commit(backend: Backend) -> None:
    backend.log_is_behind = True
    backend.put(buckets.LEASE, b"a", bytes(CONGESTED_BYTES))
    backend.end_entry(1, 1)
    backend.commit_soon()
    backend.poll(0.0)
    assert not backend.is_committing()
    with pytest.raises(InvariantError, match="the log does not hold"):
        backend.flush()

    backend.log_is_behind = False
    backend.poll(0.0)
    assert backend.is_committing()


def test_revisions_out_of_order_are_stored_all_the_same(backend: Backend) -> None:
    revisions = [encode_revision(main, 0) for main in (5, 3, 9, 1)]
    for index, revision in enumerate(revisions, 1):
        backend.put(buckets.KEY, revision, b"v%d" % index)
        backend.end_entry(index, 1)
        if index == 2:
            backend.flush()
    backend.flush()
    assert [key for key, _ in backend.scan(buckets.KEY, b"", None)] == sorted(revisions)


def test_long_and_reserved_keys_are_listed_by_their_real_names(tmp_path: Path) -> None:
    names = [b"a", b"b" * 511, b"b" * 512, b"c" * 5000, PREFIX + b"x", b"\xff\xff\xff"]
    backend = Backend.open(tmp_path)
    for name in reversed(names):
        backend.put(buckets.AUTH_USERS, name, b"user " + name[:3])
    backend.put(buckets.AUTH_USERS, b"d" * 600, b"gone")
    backend.end_entry(1, 1)
    backend.flush()
    backend.delete(buckets.AUTH_USERS, b"d" * 600)
    backend.put(buckets.AUTH_USERS, b"b" * 512, b"new")
    names.sort()
    expected = [(name, b"new" if name == b"b" * 512 else b"user " + name[:3]) for name in names]

    for _ in range(2):
        assert backend.scan(buckets.AUTH_USERS, b"", None) == expected
        assert backend.scan(buckets.AUTH_USERS, b"b", b"c" * 9999, reverse=True) == expected[3:0:-1]
        assert backend.get(buckets.AUTH_USERS, b"c" * 5000) == b"user ccc"
        assert backend.get_many(buckets.AUTH_USERS, [b"d" * 600, b"b" * 512]) == [None, b"new"]
        backend.end_entry(2, 1)
        backend.flush()
    backend.close()


def test_sizes_grow_with_writes_and_shrink_in_use_with_deletes(backend: Backend) -> None:
    empty = backend.size_bytes()
    for number in range(1000):
        backend.put(buckets.KEY, encode_revision(number, 0), bytes(1000))
    assert backend.size_bytes() - empty > 1_000_000
    backend.end_entry(1, 1)
    backend.flush()
    full, used = backend.size_bytes(), backend.size_in_use_bytes()
    assert full > 1_000_000 and used <= full
    for number in range(1000):
        backend.delete(buckets.KEY, encode_revision(number, 0))
    backend.end_entry(2, 1)
    backend.flush()
    assert backend.size_bytes() >= full
    assert backend.size_in_use_bytes() < used // 2


def test_a_full_map_poisons_the_backend(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path, map_size=1 << 20)
    backend.put(buckets.KEY, encode_revision(1, 0), b"kept")
    backend.end_entry(1, 1)
    backend.flush()
    backend.put(buckets.KEY, encode_revision(2, 0), bytes(2 << 20))
    backend.end_entry(2, 1)

    with pytest.raises(StorageError, match="MDB_MAP_FULL"):
        backend.flush()

    for action in (
        lambda: backend.put(buckets.KEY, b"x", b""),
        lambda: backend.delete(buckets.KEY, b"x"),
        lambda: backend.get(buckets.KEY, b"x"),
        lambda: backend.scan(buckets.KEY, b"", None),
        lambda: backend.poll(0.0),
        lambda: backend.flush(),
    ):
        with pytest.raises(StorageError):
            action()
    backend.close()
    backend = Backend.open(tmp_path)
    assert (backend.consistent_index, backend.get(buckets.KEY, encode_revision(1, 0))) == (1, b"kept")
    backend.close()


def test_an_error_of_the_thread_surfaces_at_the_next_poll(backend: Backend) -> None:
    backend.put(buckets.LEASE, b"a", b"1")
    backend.end_entry(1, 1)
    backend.commit_soon()
    backend.poll(0.0)

    def refuse() -> None:
        raise OSError(28, "No space left on device")

    backend._worker.wait()
    backend._worker.take_result().abort()
    backend._worker.submit(refuse)
    backend._worker.wait()
    with pytest.raises(StorageError, match="No space left"):
        backend.poll(0.0)
    with pytest.raises(StorageError):
        backend.put(buckets.LEASE, b"b", b"2")


def test_wake_tells_when_the_thread_is_done(tmp_path: Path) -> None:
    woken: list[int] = []
    backend = Backend.open(tmp_path, wake=lambda: woken.append(1))
    backend.end_entry(1, 1)
    commit_by_polling(backend)
    backend.close()
    assert len(woken) == 2  # begun, committed


KEYS = st.binary(min_size=1, max_size=3)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.binary(max_size=4)),
        st.tuples(st.just("delete"), KEYS, st.just(b"")),
        st.tuples(st.sampled_from(["flush", "freeze", "poll", "defragment"]), st.just(b""), st.just(b"")),
        st.tuples(st.just("scan"), KEYS, KEYS),
    ),
    max_size=40,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OPERATIONS, st.integers(0, 5), st.booleans(), st.sampled_from([buckets.LEASE, buckets.AUTH_USERS]))
def test_it_agrees_with_a_dict(
    operations: list[tuple[str, bytes, bytes]], limit: int, reverse: bool, bucket: buckets.Bucket
) -> None:
    model: dict[bytes, bytes] = {}

    def between(start: bytes, end: bytes | None) -> list[tuple[bytes, bytes]]:
        items = [(key, value) for key, value in model.items() if start <= key and (end is None or key < end)]
        items.sort(reverse=reverse)
        return items[:limit] if limit else items

    with tempfile.TemporaryDirectory() as directory:
        backend = Backend.open(directory)
        try:
            for index, (name, key, value) in enumerate(operations, 1):
                if name == "put":
                    model[key] = value
                    backend.put(bucket, key, value)
                elif name == "delete":
                    model.pop(key, None)
                    backend.delete(bucket, key)
                elif name == "flush":
                    backend.flush()
                elif name == "freeze":
                    backend.commit_soon()
                    backend.poll(0.0)
                elif name == "poll":
                    backend.poll(0.0)
                elif name == "defragment":
                    job = backend.start_defragment()
                    while not job.poll():
                        backend.poll(0.0)
                else:
                    assert backend.scan(bucket, key, value, limit, reverse) == between(key, value)
                backend.end_entry(index, 1)
                key = key or b"none"
                assert backend.get_many(bucket, [key, b"zz"]) == [model.get(key), model.get(b"zz")]
                assert backend.get(bucket, key) == model.get(key)
            assert backend.scan(bucket, b"", None, limit, reverse) == between(b"", None)
        finally:
            backend.close()
        backend = Backend.open(directory)
        assert backend.scan(bucket, b"", None) == sorted(model.items())
        assert backend.consistent_index == len(operations)
        backend.close()
