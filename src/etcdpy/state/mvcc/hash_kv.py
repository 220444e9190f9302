"""HashKV: one number over the history, equal on all members that hold the same.

CRC32C over the name of the bucket, then key and value of every record up to the asked revision. What is not newer than
the compacted revision counts only if it must be there on every member, however far the removal has come:

  * puts that are in force at the asked revision; a put that was replaced in between does not count, though it is there;
  * but where no key at all exists at the asked revision, the puts that were in force at the compacted one;
  * never tombstones: some versions keep those of the compacted revision, others do not.

At the revision of one of the last compactions the hash that was made then is the answer (compaction_hashes.py).

It is made in slices. When compaction overtakes it, it starts anew: records it had counted may be gone.

Upstream: mvcc/hash.go, mvcc/kvstore.go.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import google_crc32c

from etcdpy.base.errors import Compacted, FutureRev
from etcdpy.state.mvcc.key_history import bound_after
from etcdpy.state.mvcc.key_value import key_of
from etcdpy.storage.schema.buckets import KEY, NAMES
from etcdpy.storage.schema.revisions import encode_revision

if TYPE_CHECKING:
    from etcdpy.state.mvcc.store import Store

# Records that one slice reads and hashes: about 1 ms.
SLICE_RECORDS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class KvHash:
    """The answer of HashKV."""

    hash: int
    hash_revision: int  # What was hashed: everything up to here
    compact_revision: int
    revision: int  # The newest revision when the hash was begun


def hash_steps(store: Store, revision: int, slice_records: int) -> Generator[None, None, KvHash]:
    """Hash the history up to `revision` (0: now; below: nothing, as etcd does), yielding between slices."""
    known = store.compaction.hashes.find(revision)
    if known is not None:
        return known
    current = store.current_revision
    asked = revision or current
    while True:
        compacted = store.compact_revision
        if 0 < asked < compacted:
            raise Compacted
        if asked > current:
            raise FutureRev
        is_whole = partial(_is_compacted_at, store, compacted)
        value = yield from hash_history(store, max(asked, 0), compacted, slice_records, is_whole)
        if value is not None:
            return KvHash(hash=value, hash_revision=asked, compact_revision=compacted, revision=current)


def _is_compacted_at(store: Store, revision: int) -> bool:
    return store.compact_revision == revision


def hash_history(
    store: Store, revision: int, compacted: int, slice_records: int, is_whole: Callable[[], bool]
) -> Generator[None, None, int | None]:
    """Return the hash of a history that is compacted at `compacted`; None when it ceased to be whole in between."""
    value = google_crc32c.value(NAMES[KEY])
    live_bound = bound_after(revision)
    if compacted > 0 and not (yield from _exists_any(store, live_bound)):
        live_bound = bound_after(compacted)
    newer_than_compacted = encode_revision(compacted + 1, 0)
    first, last = b"", encode_revision(revision + 1, 0)
    while is_whole():
        items = store.backend.scan(KEY, first, last, slice_records)
        counted: list[bytes] = []
        for item in items:
            if item[0] >= newer_than_compacted or _is_live(store, item[0], item[1], live_bound):
                counted += item
        value = google_crc32c.extend(value, b"".join(counted))
        if len(items) < slice_records:
            return int(value)
        first = items[-1][0] + b"\0"
        yield
    return None


def _exists_any(store: Store, bound: bytes) -> Generator[None, None, bool]:
    """Return whether any key exists below `bound`."""
    for keys in store.index.walk(b"", None):
        if store.index.find_records(keys, bound):
            return True
        yield
    return False


def _is_live(store: Store, record: bytes, stored: bytes, bound: bytes) -> bool:
    """Return whether a put is in force below `bound`; a tombstone never is."""
    return store.index.get_before(key_of(stored), bound) == record
