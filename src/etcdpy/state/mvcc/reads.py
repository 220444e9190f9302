"""Ranges: which records a RangeRequest reads, in slices.

A sliced range reads at the revision at which it began, whatever is written meanwhile; compaction past that revision
ends it with Compacted. How large the values are is known when they have been read; so a range of few keys is begun at
once, and begun anew in slices when it has read too much. While its revision is the newest one, the index answers
without searching histories, and counts without walking.

Upstream: mvcc/kvstore_txn.go, rangeKeys.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Final

from etcdpy.base.errors import FutureRev
from etcdpy.base.invariant import StorageError
from etcdpy.pb.rpc_pb2 import RangeRequest
from etcdpy.state.mvcc.answer import Answer, run_steps
from etcdpy.state.mvcc.key_history import bound_after
from etcdpy.state.mvcc.range_query import SLICE_KVS, RangeQuery, encode_tail

if TYPE_CHECKING:
    from etcdpy.state.mvcc.store import Store

# A range that looks at more keys than this is worth slicing: about 2 ms of work.
LARGE_RANGE_KEYS: Final = 2000


def is_large(store: Store, request: RangeRequest) -> bool:
    """Return whether a range is worth slicing."""
    if not request.range_end:
        return False
    if request.revision <= 0 and request.count_only:
        return False
    if request.revision <= 0 and 0 < RangeQuery(request).fetch_limit <= LARGE_RANGE_KEYS:
        return len(store.index.dead) > LARGE_RANGE_KEYS
    return store.index.count_all(request.key, end_of(request.range_end)) > LARGE_RANGE_KEYS


def range_if_small(store: Store, request: RangeRequest) -> Answer | None:
    """Answer a range that is not large by its keys at once; None when it turns out to be by its values."""
    current = store.visible_revision
    revision = begin(store, request)
    if request.count_only:
        count = run_steps(count_steps(store, request, revision, SLICE_KVS))
        return Answer(current, encode_tail(count, False))
    query = RangeQuery(request)
    records, count = run_steps(_find_records(store, request, revision, query.fetch_limit, SLICE_KVS))
    stored = read_records(store, records)
    content = query.encode_few(stored, count) if len(stored) == len(records) else None
    if content is None:
        store.counters.ranges -= 1  # it is begun anew, and counted then
        return None
    return Answer(current, content)


def range_steps(store: Store, request: RangeRequest, slice_kvs: int) -> Generator[None, None, Answer]:
    """Answer a range, yielding between slices."""
    current = store.visible_revision
    revision = begin(store, request)
    if request.count_only:
        count = yield from count_steps(store, request, revision, slice_kvs)
        return Answer(current, encode_tail(count, False))
    query = RangeQuery(request)
    records, count = yield from _find_records(store, request, revision, query.fetch_limit, slice_kvs)
    stored: list[bytes] = []
    while len(stored) < len(records):
        store.check_not_compacted(revision)
        stored += read_records(store, records[len(stored) : len(stored) + slice_kvs])
        yield
    content = yield from query.steps(stored, count, slice_kvs)
    return Answer(current, content)


def begin(store: Store, request: RangeRequest) -> int:
    """Count a range and return the revision at which it reads. Raise FutureRev or Compacted."""
    store.counters.ranges += 1
    current = store.visible_revision
    revision = request.revision
    if revision > current:
        raise FutureRev
    if revision <= 0:
        revision = current
    store.check_not_compacted(revision)
    return revision


def end_of(range_end: bytes) -> bytes | None:
    """Return the end of a range: "\\0" stands for no end."""
    return None if range_end == b"\0" else range_end


def has_options(request: RangeRequest) -> bool:
    """Return whether a range of one key wants more than the key as it is. Sort and limit make no difference there."""
    return bool(
        request.keys_only
        or request.count_only
        or request.min_mod_revision
        or request.max_mod_revision
        or request.min_create_revision
        or request.max_create_revision
    )


def read_records(store: Store, records: list[bytes]) -> list[bytes]:
    """Return the KeyValues of the first of some records that the index knows: as many as one slice may copy."""
    stored = store.backend.get_records(records)
    if not all(stored):
        raise StorageError(f"the index knows revision {records[stored.index(None)]!r}, the backend does not")
    return stored  # type: ignore[return-value]


def bound_of(store: Store, revision: int) -> bytes | None:
    """Return the bound of a read at `revision`; None while that is the newest."""
    return None if revision == store.visible_revision else bound_after(revision)


def find_one(store: Store, key: bytes, revision: int) -> bytes | None:
    """Return the record of one key in force at `revision`."""
    bound = bound_of(store, revision)
    return store.index.get(key) if bound is None else store.index.get_before(key, bound)


def count_steps(store: Store, request: RangeRequest, revision: int, step: int) -> Generator[None, None, int]:
    """Count a range's keys; at the newest revision without looking at them."""
    if not request.range_end:
        return 0 if find_one(store, request.key, revision) is None else 1
    start, end = request.key, end_of(request.range_end)
    if bound_of(store, revision) is None:
        return store.index.count(start, end)
    count = 0
    for keys in store.index.walk(start, end, step):
        store.check_not_compacted(revision)
        count += len(store.index.find_records(keys, bound_of(store, revision)))
        yield
    return count


def _find_records(
    store: Store, request: RangeRequest, revision: int, limit: int, step: int
) -> Generator[None, None, tuple[list[bytes], int]]:
    """Return the records in force in a range, `limit` at most (0: all), and how many keys there are."""
    if not request.range_end:
        record = find_one(store, request.key, revision)
        return ([], 0) if record is None else ([record], 1)
    start, end = request.key, end_of(request.range_end)
    records: list[bytes] = []
    count = 0
    for keys in store.index.walk(start, end, min(limit or step, step)):
        store.check_not_compacted(revision)
        bound = bound_of(store, revision)
        found = store.index.find_records(keys, bound)
        count += len(found)
        if not limit or len(records) < limit:
            records += found
        if limit and bound is None and len(records) >= limit:
            # The rest is only counted, which needs no walk at the newest revision.
            return records[:limit], store.index.count(start, end)
        yield
    return (records[:limit] if limit else records), count
