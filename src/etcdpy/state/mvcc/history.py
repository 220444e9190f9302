"""The history as watchers read it: all changes of a span of revisions, from the backend."""

from __future__ import annotations

from etcdpy.state.mvcc.change import Change
from etcdpy.state.mvcc.key_history import main_of
from etcdpy.state.mvcc.key_value import delete_event, key_of
from etcdpy.storage.backend.bucket_store import BucketStore
from etcdpy.storage.schema.buckets import KEY
from etcdpy.storage.schema.revisions import TOMBSTONE_BYTES, encode_revision


def read_changes(backend: BucketStore, start: int, end: int, limit: int) -> tuple[list[Change], int]:
    """Return the changes of [start, end), `limit` at most unless one revision alone has more; and where to go on."""
    if start >= end:
        return [], end
    first, last = encode_revision(max(start, 0), 0), encode_revision(end, 0)
    items = backend.scan(KEY, first, last, limit + 1)
    if len(items) <= limit:
        return _changes(items), end
    # Cut before the revision that may go on beyond the limit; where that leaves nothing, take this revision whole.
    torn = main_of(items[-1][0])
    whole = [item for item in items if main_of(item[0]) < torn]
    if whole:
        return _changes(whole), torn
    return _changes(backend.scan(KEY, encode_revision(torn, 0), encode_revision(torn + 1, 0))), torn + 1


def _changes(items: list[tuple[bytes, bytes]]) -> list[Change]:
    changes = []
    for revision_key, stored in items:
        main = main_of(revision_key)
        key = key_of(stored)
        if len(revision_key) == TOMBSTONE_BYTES:
            changes.append(Change(key, delete_event(stored, main), True, main))
        else:
            changes.append(Change(key, stored, False, main))
    return changes
