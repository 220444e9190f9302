"""Chunks of a range: one behind the other they are the range, whatever happens between them."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from etcdpy.base.errors import Compacted, FutureRev
from etcdpy.pb.rpc_pb2 import DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse
from etcdpy.state.mvcc.answer import Answer
from etcdpy.state.mvcc.range_chunks import CHUNK_BYTES, STEP_KEYS, chunk_steps
from etcdpy.state.mvcc.store import Store
from tests.unit.state.mvcc.store_on_disk import finish_compaction, open_store


def nothing() -> None:
    """Between two chunks nothing happens."""


def stream(store: Store, request: RangeRequest, between: Callable[[], None] = nothing) -> tuple[list[bytes], Answer]:
    """Return the chunks that came before the last, and the last."""
    chunks: list[bytes] = []
    steps = chunk_steps(store, request)
    while True:
        try:
            chunk = next(steps)
        except StopIteration as done:
            answer: Answer = done.value
            return chunks, answer
        if chunk is not None:
            chunks.append(chunk)
        between()


def merged(chunks: list[bytes], answer: Answer) -> bytes:
    """Merge as protobuf does: one message behind the other."""
    return b"".join(chunks) + answer.body


def put(store: Store, key: bytes, value: bytes = b"v") -> None:
    store.apply_put(PutRequest(key=key, value=value))


@pytest.mark.parametrize("seed", range(8))
def test_merged_they_are_the_answer_of_a_range(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    with open_store(tmp_path) as store:
        for _ in range(400):
            key = b"k%03d" % rng.randrange(120)
            if rng.random() < 0.2:
                store.apply_delete_range(DeleteRangeRequest(key=key))
            else:
                put(store, key, rng.randbytes(rng.choice((0, 10, 90_000))))
        for _ in range(60):
            request = RangeRequest(
                key=b"k%03d" % rng.randrange(120),
                range_end=rng.choice((b"", b"\0", b"k%03d" % rng.randrange(120))),
                limit=rng.choice((-1, 0, 0, 1, 2, 7, 50, 1000)),
                revision=rng.choice((-1, 0, 0, rng.randrange(1, store.current_revision + 1))),
                keys_only=rng.random() < 0.3,
                count_only=rng.random() < 0.1,
            )
            whole = store.range(request)

            chunks, answer = stream(store, request)

            assert RangeResponse.FromString(merged(chunks, answer)) == RangeResponse.FromString(whole.body), request
            assert answer.revision == whole.revision


def test_no_chunk_is_much_larger_than_it_should_be_and_none_is_empty(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for number in range(3 * STEP_KEYS):
            put(store, b"small/%05d" % number)
        for number in range(40):
            put(store, b"large/%05d" % number, b"x" * 100_000)

        for prefix, size_max in ((b"small/", STEP_KEYS * 64), (b"large/", CHUNK_BYTES + 2 * 110_000)):
            chunks, answer = stream(store, RangeRequest(key=prefix, range_end=prefix + b"\xff"))

            assert len(chunks) >= 2
            assert all(0 < len(chunk) <= size_max for chunk in [*chunks, answer.body])


def test_what_is_written_meanwhile_is_not_seen(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for number in range(2 * STEP_KEYS):
            put(store, b"k%05d" % number, b"before")
        before = store.current_revision

        def change() -> None:
            put(store, b"k%05d" % (2 * STEP_KEYS - 1), b"after")
            store.apply_delete_range(DeleteRangeRequest(key=b"k%05d" % (2 * STEP_KEYS - 2)))
            put(store, b"k99999", b"after")

        chunks, answer = stream(store, RangeRequest(key=b"k", range_end=b"l"), change)

        response = RangeResponse.FromString(merged(chunks, answer))
        assert len(chunks) >= 1 and answer.revision == before
        assert (response.count, response.more) == (2 * STEP_KEYS, False)
        assert {kv.value for kv in response.kvs} == {b"before"}


def test_a_limit_counts_what_it_cut_off_at_the_revision_of_the_beginning(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for number in range(2 * STEP_KEYS):
            put(store, b"k%05d" % number)

        def grow() -> None:
            put(store, b"k99999")

        chunks, answer = stream(store, RangeRequest(key=b"k", range_end=b"l", limit=STEP_KEYS + 1), grow)

        response = RangeResponse.FromString(merged(chunks, answer))
        assert (len(response.kvs), response.count, response.more) == (STEP_KEYS + 1, 2 * STEP_KEYS, True)


def test_compaction_past_its_revision_ends_it(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for number in range(2 * STEP_KEYS):
            put(store, b"k%05d" % number)

        def compact() -> None:
            put(store, b"k00001")
            store.compact(store.current_revision)
            finish_compaction(store)

        with pytest.raises(Compacted):
            stream(store, RangeRequest(key=b"k", range_end=b"l"), compact)
        with pytest.raises(Compacted):
            stream(store, RangeRequest(key=b"k", range_end=b"l", revision=2))
        with pytest.raises(FutureRev):
            stream(store, RangeRequest(key=b"k", revision=store.current_revision + 1))


def test_compaction_at_its_revision_does_not(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for number in range(2 * STEP_KEYS):
            put(store, b"k%05d" % number)
        pinned = store.current_revision
        compacted: list[int] = []

        def compact() -> None:
            if not compacted:
                put(store, b"k01999", b"after")
                store.compact(pinned)
                finish_compaction(store)
                compacted.append(pinned)

        chunks, answer = stream(store, RangeRequest(key=b"k", range_end=b"l"), compact)

        response = RangeResponse.FromString(merged(chunks, answer))
        assert compacted and response.count == 2 * STEP_KEYS and response.kvs[1999].value == b"v"


def test_it_counts_as_one_range(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        put(store, b"k")
        before = store.counters.ranges
        stream(store, RangeRequest(key=b"k", range_end=b"l"))
        assert store.counters.ranges == before + 1


def test_a_large_value_behind_small_ones_adds_no_second(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for number in range(40):
            put(store, b"a%02d" % number, b"x" * (CHUNK_BYTES if number > 14 else 1))
        chunks, _ = stream(store, RangeRequest(key=b"a", range_end=b"b"))

        assert max(map(len, chunks)) < 2 * CHUNK_BYTES + 2000


def test_while_its_reader_waits_nothing_of_a_chunk_is_kept(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for number in range(8):
            put(store, b"a%02d" % number, b"x" * CHUNK_BYTES)
        steps = chunk_steps(store, RangeRequest(key=b"a", range_end=b"b"))
        chunk = next(steps)

        assert chunk is not None and sys.getrefcount(chunk) == 2  # ours, and the question's
