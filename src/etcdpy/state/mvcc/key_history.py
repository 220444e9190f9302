"""The revisions of one key, packed so that the garbage collector does not see them.

A history is one of
  bytes        the revision of the only put: the key was created by it and never touched again
  bytearray    created u64 | offset i64 | record | record | ...   (all big-endian)

A record is 17 bytes: main u64, `_` for a put or `t` for a tombstone, sub u64. A put's record is its key in the bucket
`key`. `created` is the main revision that began the newest generation, and offset + number of records is the version
that the newest put has: what compaction cuts off, and earlier generations, are made up for by the offset.

Rules
  * Records ascend. A tombstone never follows a tombstone. The first record is a tombstone only where compaction at
    exactly its revision left it (3.5.16 and newer keep that one, so that a watcher still learns of the deletion).
  * A million keys: 64 bytes each as long as they were put once, 112 with two revisions. As lists the collector would
    need 165 ms to walk them.

Upstream: mvcc/key_index.go (generations are implied here: each tombstone ends one).
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from etcdpy.base.invariant import InvariantError

History = bytes | bytearray

HEAD_BYTES: Final = 16
RECORD_BYTES: Final = 17
PUT: Final = 0x5F
TOMBSTONE: Final = 0x74
# Where the last record keeps its kind, counted from the end.
LAST_KIND: Final = -9

_HEAD: Final = Struct(">Qq")
_RECORD: Final = Struct(">QBQ")
_MAIN: Final = Struct(">Q")
pack_head: Final = _HEAD.pack
pack_head_into: Final = _HEAD.pack_into
unpack_head: Final = _HEAD.unpack_from
pack_record: Final = _RECORD.pack
_unpack_main: Final = _MAIN.unpack_from

assert RECORD_BYTES == _RECORD.size and HEAD_BYTES == _HEAD.size


def bound_after(main: int) -> bytes:
    """Return what every record of a main revision <= `main` sorts below, and no other."""
    return _MAIN.pack(main + 1)


def main_of(record: bytes | bytearray) -> int:
    """Return the main revision of a record, or of a key of the bucket `key`."""
    main: int = _unpack_main(record)[0]
    return main


def begin(record: bytes, created: int, version: int) -> History:
    """Return the history that starts at one put, which may have had forerunners that were compacted."""
    if version == 1 and created == main_of(record):
        return record
    return bytearray(pack_head(created, version - 1)) + record


def begin_deleted(record: bytes) -> History:
    """Return the history of which only a tombstone is left."""
    return bytearray(pack_head(0, 0)) + record


def widen(history: bytes) -> bytearray:
    """Return a single put's history in the form that can grow."""
    return bytearray(pack_head(main_of(history), 0)) + history


def extend(history: History, record: bytes, created: int, version: int) -> History:
    """Return a history with a put at its end whose numbers are known."""
    grown = widen(history) if type(history) is bytes else history
    assert type(grown) is bytearray
    grown += record
    pack_head_into(grown, 0, created, version - (len(grown) - HEAD_BYTES) // RECORD_BYTES)
    return grown


def is_deleted(history: History) -> bool:
    """Return whether the key does not exist now."""
    return type(history) is bytearray and history[LAST_KIND] == TOMBSTONE


def created_and_version(history: History) -> tuple[int, int]:
    """Return both numbers of the newest put of a key that exists now."""
    if type(history) is bytes:
        return main_of(history), 1
    created, offset = unpack_head(history)
    return created, offset + (len(history) - HEAD_BYTES) // RECORD_BYTES


def find_before(history: History, bound: bytes) -> bytes | None:
    """Return the put in force below `bound` (see bound_after); None where the key did not exist then."""
    if type(history) is bytes:
        return history if history < bound else None
    position = _last_before(history, bound)
    if position < 0 or history[position + 8] == TOMBSTONE:
        return None
    return bytes(history[position : position + RECORD_BYTES])


def records_of(history: History) -> list[bytes]:
    """Return all records, oldest first."""
    if type(history) is bytes:
        return [history]
    return [bytes(history[at : at + RECORD_BYTES]) for at in range(HEAD_BYTES, len(history), RECORD_BYTES)]


def compact(history: History, bound: bytes, main: int, limit: int) -> tuple[History | None, list[bytes]]:
    """Return what is left after compaction at `main` (bound = bound_after(main)), None for nothing, and what goes.

    Of everything up to `main` only the record in force stays; a tombstone only if it is of exactly `main`. At most
    `limit` records go, the oldest; with so many gone, the caller asks again. `history` is cut in place.
    """
    if type(history) is bytes:
        return history, []
    assert type(history) is bytearray
    position = _last_before(history, bound)
    if position < 0:
        return history, []
    if history[position + 8] == TOMBSTONE and main_of(history[position : position + 8]) < main:
        position += RECORD_BYTES
    if position == HEAD_BYTES:
        return _shrink(history), []
    position = min(position, HEAD_BYTES + limit * RECORD_BYTES)
    dropped = [bytes(history[at : at + RECORD_BYTES]) for at in range(HEAD_BYTES, position, RECORD_BYTES)]
    if position == len(history):
        return None, dropped
    created, offset = unpack_head(history)
    # Cutting from the front costs nothing, however long the history is. The head is written over what is left of the
    # last record that goes.
    del history[: position - HEAD_BYTES]
    pack_head_into(history, 0, created, offset + len(dropped))
    return _shrink(history), dropped


def disk_key(record: bytes) -> bytes:
    """Return the key of a record in the bucket `key`: a tombstone's has its mark at the end."""
    if record[8] == TOMBSTONE:
        return record[:8] + b"_" + record[9:] + b"t"
    return record


def check_history(history: History) -> None:
    """Raise InvariantError where the rules above do not hold."""
    records = records_of(history)
    for earlier, later in zip(records, records[1:], strict=False):
        if (earlier[:8], earlier[9:]) >= (later[:8], later[9:]):
            raise InvariantError(f"history out of order: {earlier!r} then {later!r}")
        if earlier[8] == TOMBSTONE and later[8] == TOMBSTONE:
            raise InvariantError(f"two tombstones in a row: {earlier!r} then {later!r}")
    if not records:
        raise InvariantError("a history without records")


def _shrink(history: bytes | bytearray) -> History:
    """Return the single form where the history fits in it."""
    if len(history) != HEAD_BYTES + RECORD_BYTES or history[LAST_KIND] == TOMBSTONE:
        return history
    created, version = created_and_version(history)
    record = bytes(history[HEAD_BYTES:])
    return record if version == 1 and created == main_of(record) else history


def _last_before(history: bytes | bytearray, bound: bytes) -> int:
    """Return where the newest record below `bound` stands; -1 if none does."""
    low, high = 0, (len(history) - HEAD_BYTES) // RECORD_BYTES
    while low < high:
        middle = (low + high) // 2
        at = HEAD_BYTES + middle * RECORD_BYTES
        if history[at : at + 8] < bound:
            low = middle + 1
        else:
            high = middle
    return HEAD_BYTES + (low - 1) * RECORD_BYTES if low else -1
