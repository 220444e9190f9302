"""Does a compare of a transaction hold?

All keys of its range must satisfy it. Where there is no key, a compare of values is false, any other is made against
0. A target value that the client did not set is 0, or the empty value; an unknown target compares as equal, an unknown
result is true.

Versions and revisions are in the index; only values and leases need the stored KeyValue.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from etcdpy.pb.kv_pb2 import KeyValue
from etcdpy.pb.rpc_pb2 import Compare
from etcdpy.state.mvcc import key_history
from etcdpy.state.mvcc.index import Index
from etcdpy.storage.backend.bucket_store import BucketStore
from etcdpy.storage.schema.buckets import KEY

_EQUAL: Final = Compare.EQUAL
_GREATER: Final = Compare.GREATER
_LESS: Final = Compare.LESS
_NOT_EQUAL: Final = Compare.NOT_EQUAL

_VERSION: Final = Compare.VERSION
_CREATE: Final = Compare.CREATE
_MOD: Final = Compare.MOD
_VALUE: Final = Compare.VALUE
_LEASE: Final = Compare.LEASE


def holds(compare: Compare, index: Index, backend: BucketStore) -> bool:
    """Return whether `compare` holds for what exists now."""
    target = compare.target
    wanted = _wanted(compare, target)
    result = compare.result
    if not compare.range_end:
        record = index.get(compare.key)
        if record is None:
            return target != _VALUE and _satisfies(result, 0, wanted)
        return _satisfies(result, _found(compare.key, record, target, index, backend), wanted)
    is_empty = True
    for key, record in _existing(compare, index):
        is_empty = False
        if not _satisfies(result, _found(key, record, target, index, backend), wanted):
            return False
    return not is_empty or (target != _VALUE and _satisfies(result, 0, wanted))


def _existing(compare: Compare, index: Index) -> Iterator[tuple[bytes, bytes]]:
    end = compare.range_end
    for keys in index.walk(compare.key, None if end == b"\0" else end):
        for key in keys:
            record = index.get(key)
            if record is not None:
                yield key, record


def _wanted(compare: Compare, target: int) -> Any:
    """Return what the client compares with. A value of another target than the named one does not count."""
    if target == _VERSION:
        return compare.version
    if target == _MOD:
        return compare.mod_revision
    if target == _CREATE:
        return compare.create_revision
    if target == _VALUE:
        return compare.value
    if target == _LEASE:
        return compare.lease
    return 0


def _found(key: bytes, record: bytes, target: int, index: Index, backend: BucketStore) -> Any:
    if target == _MOD:
        return key_history.main_of(record)
    if target == _VERSION:
        return key_history.created_and_version(index.histories[key])[1]
    if target == _CREATE:
        return key_history.created_and_version(index.histories[key])[0]
    if target == _VALUE:
        return KeyValue.FromString(backend.get(KEY, record) or b"").value
    if target == _LEASE:
        return KeyValue.FromString(backend.get(KEY, record) or b"").lease
    return 0


def _satisfies(result: int, found: Any, wanted: Any) -> bool:
    if result == _EQUAL:
        return bool(found == wanted)
    if result == _GREATER:
        return bool(found > wanted)
    if result == _LESS:
        return bool(found < wanted)
    if result == _NOT_EQUAL:
        return bool(found != wanted)
    return True
