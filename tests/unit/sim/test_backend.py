"""The stand-in behaves as the real backend does: the same calls, the same answers, the same state after a crash."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etcdpy.sim.backend import Database, VirtualBackend
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets
from etcdpy.storage.schema.buckets import Bucket

KEYS = st.sampled_from([b"a", b"b", b"c", b"d"])
BUCKETS = st.sampled_from([buckets.KEY, buckets.MEMBERS, buckets.META])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), BUCKETS, KEYS, st.binary(max_size=3)),
        st.tuples(st.just("delete"), BUCKETS, KEYS, st.just(b"")),
        st.tuples(st.just("end entry"), st.just(buckets.KEY), st.just(b""), st.just(b"")),
        st.tuples(st.just("commit"), st.just(buckets.KEY), st.just(b""), st.just(b"")),
        st.tuples(st.just("crash"), st.just(buckets.KEY), st.just(b""), st.just(b"")),
    ),
    max_size=30,
)


class Pair:
    """Both at once. A commit happens at a boundary only, as in a member: entries are ended first."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.database = Database()
        self.index = 0
        self.open()

    def open(self) -> None:
        self.real = Backend.open(self.directory)
        self.virtual = make(self.database)
        self.index = self.real.consistent_index

    def step(self, what: str, bucket: Bucket, key: bytes, value: bytes) -> None:
        if what == "put":
            self.real.put(bucket, key, value)
            self.virtual.put(bucket, key, value)
        elif what == "delete":
            self.real.delete(bucket, key)
            self.virtual.delete(bucket, key)
        elif what == "end entry":
            self.end_entry()
        elif what == "commit":
            self.end_entry()
            self.real.flush()
            self.virtual.commit_soon()
            self.virtual.poll(0.0)
            self.virtual.poll(1.0)
        else:
            self.crash()

    def end_entry(self) -> None:
        self.index += 1
        self.real.end_entry(self.index, 7)
        self.virtual.end_entry(self.index, 7)

    def crash(self) -> None:
        self.real.fail(RuntimeError("power cut"))
        self.real.close()
        self.database.roll_back()
        self.open()

    def check(self) -> None:
        assert self.real.consistent_index == self.virtual.consistent_index
        assert self.real.committed_index == self.virtual.committed_index
        assert self.real.term == self.virtual.term
        for bucket in buckets.ALL:
            for start, end, limit, reverse in ((b"", None, 0, False), (b"b", b"d", 1, False), (b"a", b"d", 2, True)):
                mine = [item for item in self.virtual.scan(bucket, start, end, limit, reverse) if is_data(item[0])]
                theirs = [item for item in self.real.scan(bucket, start, end, limit, reverse) if is_data(item[0])]
                if bucket != buckets.META or not limit:  # the real one keeps its index apart until it commits
                    assert mine == theirs
            keys = [b"a", b"c", b"x"]
            assert self.virtual.get_many(bucket, keys) == self.real.get_many(bucket, keys)
            assert self.virtual.get(bucket, b"b") == self.real.get(bucket, b"b")


def is_data(key: bytes) -> bool:
    return len(key) == 1


def make(database: Database) -> VirtualBackend:
    return VirtualBackend(database, interval_seconds=0.1, commit_seconds=0.5)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_it_is_the_real_backend_as_far_as_a_member_can_see(
    tmp_path: Path, steps: list[tuple[str, Bucket, bytes, bytes]]
) -> None:
    directory = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    directory.mkdir()
    pair = Pair(directory)
    try:
        for step in steps:
            pair.step(*step)
            pair.check()
    finally:
        pair.real.fail(RuntimeError("over"))
        pair.real.close()


def test_a_commit_takes_time_and_is_all_or_nothing() -> None:
    database = Database()
    backend = make(database)
    backend.put(buckets.KEY, b"a", b"1")
    backend.end_entry(1, 1)
    backend.commit_soon()
    backend.poll(0.0)
    backend.put(buckets.KEY, b"a", b"2")
    backend.end_entry(2, 1)
    assert backend.is_committing and backend.committed_index == 0

    backend.poll(0.5)
    assert backend.committed_index == 1
    database.roll_back()
    assert make(database).get(buckets.KEY, b"a") == b"1" and make(database).consistent_index == 1


def test_half_an_entry_is_not_committed() -> None:
    database = Database()
    backend = make(database)
    backend.put(buckets.KEY, b"a", b"1")
    backend.commit_soon()
    backend.poll(0.0)
    assert not backend.is_committing


def test_it_adopts_another_database() -> None:
    first, second = Database(), Database()
    other = make(second)
    other.put(buckets.KEY, b"a", b"1")
    other.end_entry(9, 3)
    backend = make(first)
    backend.adopt(Database(second.copy_tables()))

    assert backend.consistent_index == backend.committed_index == 9 and backend.term == 3
    other.put(buckets.KEY, b"a", b"2")
    assert backend.get(buckets.KEY, b"a") == b"1"
