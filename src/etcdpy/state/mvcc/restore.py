"""From the backend to the index: what a start reads.

Records come in the order of revisions, so each extends its key's history at the end. The first record of a key need not
be its creation, compaction may have cut that off: its KeyValue says when the key was created, and its version.

The current revision is the newest record's, but never less than what compaction was asked for: a compaction may have
removed the newest records, all of them tombstones (etcd issue 17780).

Upstream: mvcc/kvstore.go, restore.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Final, Protocol

from google.protobuf.message import DecodeError

from etcdpy.base.invariant import StorageError
from etcdpy.pb.kv_pb2 import KeyValue
from etcdpy.state.mvcc import key_history
from etcdpy.state.mvcc.index import Index
from etcdpy.state.mvcc.key_history import History, main_of
from etcdpy.state.mvcc.key_value import key_of
from etcdpy.storage.schema.buckets import KEY, META, Bucket
from etcdpy.storage.schema.meta import FINISHED_COMPACT_REVISION, SCHEDULED_COMPACT_REVISION
from etcdpy.storage.schema.revisions import TOMBSTONE_BYTES, decode_revision, is_revision

CHUNK_RECORDS: Final = 10_000


class Source(Protocol):
    """What can be read from: a backend, or a view of one generation on another thread."""

    def get(self, bucket: Bucket, key: bytes, /) -> bytes | None: ...

    def scan(self, bucket: Bucket, start: bytes, end: bytes | None, limit: int = 0, /) -> list[tuple[bytes, bytes]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What the backend holds."""

    index: Index
    current_revision: int
    compact_revision: int
    is_compaction_unfinished: bool
    lease_of: dict[bytes, int]


def read(source: Source) -> Restored:
    """Read everything. Raise StorageError where the bucket holds what cannot be a history."""
    index = Index()
    lease_of: dict[bytes, int] = {}
    was_collecting = gc.isenabled()
    # Millions of short-lived pairs: the collector would walk them over and over for nothing.
    gc.disable()
    try:
        newest = _read_records(source, index, lease_of)
    finally:
        if was_collecting:
            gc.enable()
    scheduled = _read_revision(source, SCHEDULED_COMPACT_REVISION)
    finished = _read_revision(source, FINISHED_COMPACT_REVISION)
    return Restored(
        index=index,
        current_revision=max(1, newest, scheduled, finished),
        compact_revision=max(scheduled, finished),
        is_compaction_unfinished=scheduled > finished,
        lease_of=lease_of,
    )


def _read_revision(source: Source, name: bytes) -> int:
    stored = source.get(META, name)
    if stored is None:
        return -1
    try:
        return decode_revision(stored)[0]
    except ValueError as error:
        raise StorageError(f"{name.decode()} in the bucket meta: {error}") from error


def _read_records(source: Source, index: Index, lease_of: dict[bytes, int]) -> int:
    """Fill the index; return the newest main revision."""
    histories: dict[bytes, History] = {}
    first = b""
    newest = 0
    while items := source.scan(KEY, first, None, CHUNK_RECORDS):
        for record, stored in items:
            _take(histories, lease_of, record, stored)
        last = items[-1][0]
        newest = main_of(last)
        first = last + b"\0"
    index.load(histories)
    return newest


def _take(histories: dict[bytes, History], lease_of: dict[bytes, int], record: bytes, stored: bytes) -> None:
    """Add one record to its key's history."""
    if not is_revision(record):
        raise StorageError(f"the bucket key holds {record!r}, which is no revision")
    if len(record) == TOMBSTONE_BYTES:
        _take_tombstone(histories, lease_of, record, key_of(stored))
        return
    try:
        kv = KeyValue.FromString(stored)
    except DecodeError as error:
        raise StorageError(f"the value at {record!r} is no KeyValue: {error}") from error
    key = kv.key
    history = histories.get(key)
    if history is None:
        histories[key] = key_history.begin(record, kv.create_revision, kv.version)
    else:
        histories[key] = key_history.extend(history, record, kv.create_revision, kv.version)
    if kv.lease:
        lease_of[key] = kv.lease
    elif lease_of:
        lease_of.pop(key, None)


def _take_tombstone(histories: dict[bytes, History], lease_of: dict[bytes, int], record: bytes, key: bytes) -> None:
    mark = record[:8] + b"t" + record[9:17]
    history = histories.get(key)
    if history is None:
        histories[key] = key_history.begin_deleted(mark)
    elif not key_history.is_deleted(history):
        if type(history) is bytes:
            history = histories[key] = key_history.widen(history)
        history += mark
    lease_of.pop(key, None)
