"""The key index: every key's revisions in memory, and the keys in order.

    histories   key -> history (key_history.py)      exact reads and writes touch only this
    order       the same keys, sorted                ranges
    dead        the keys whose newest record is a tombstone, sorted

A range that holds no dead key is counted without being walked: keys in order minus dead ones.

Rules
  * order and histories hold the same keys; dead is a subset of them.
  * Records are given in ascending order, whatever the key.

Upstream: mvcc/index.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from etcdpy.base.invariant import InvariantError
from etcdpy.state.mvcc import key_history
from etcdpy.state.mvcc.key_history import (
    HEAD_BYTES,
    LAST_KIND,
    RECORD_BYTES,
    TOMBSTONE,
    History,
    main_of,
    pack_head,
    pack_head_into,
    unpack_head,
)
from etcdpy.state.mvcc.key_order import KeyOrder

# Keys that a walk takes out of the order at a time.
WALK_KEYS: Final = 1000


# The type of a history that holds one revision only.
_ONLY_BYTES: Final = frozenset((bytes,))


class Index:
    """key -> revisions."""

    __slots__ = ("histories", "order", "dead")

    def __init__(self) -> None:
        self.histories: dict[bytes, History] = {}
        self.order = KeyOrder()
        self.dead = KeyOrder()

    def __len__(self) -> int:
        """Return how many keys exist now."""
        return len(self.histories) - len(self.dead)

    # -- writing

    def put(self, key: bytes, record: bytes, main: int) -> tuple[int, int]:
        """Add a put of main revision `main`; return (created, version) of the key from now on."""
        histories = self.histories
        history = histories.get(key)
        if history is None:
            histories[key] = record
            self.order.add(key)
            return main, 1
        if type(history) is bytes:
            created = main_of(history)
            grown = bytearray(pack_head(created, 0))
            grown += history
            grown += record
            histories[key] = grown
            return created, 2
        if history[LAST_KIND] == TOMBSTONE:
            self.dead.remove(key)
            history += record  # in place: it is a bytearray
            pack_head_into(history, 0, main, 1 - (len(history) - HEAD_BYTES) // RECORD_BYTES)
            return main, 1
        history += record
        created, offset = unpack_head(history)
        return created, offset + (len(history) - HEAD_BYTES) // RECORD_BYTES

    def delete(self, key: bytes, record: bytes) -> None:
        """Add a tombstone to a key that exists."""
        history = self.histories[key]
        if type(history) is bytes:
            history = self.histories[key] = key_history.widen(history)
        elif history[LAST_KIND] == TOMBSTONE:
            raise InvariantError(f"deleting {key!r}, which is deleted already")
        history += record
        self.dead.add(key)

    # -- reading

    def get(self, key: bytes) -> bytes | None:
        """Return the record of the newest put; None where the key does not exist."""
        history = self.histories.get(key)
        if history is None or type(history) is bytes:
            return history
        if history[LAST_KIND] == TOMBSTONE:
            return None
        return bytes(history[-RECORD_BYTES:])

    def get_before(self, key: bytes, bound: bytes) -> bytes | None:
        """Return the put in force below `bound`."""
        history = self.histories.get(key)
        return None if history is None else key_history.find_before(history, bound)

    def created_and_version(self, key: bytes) -> tuple[int, int] | None:
        """Return both numbers of a key that exists now."""
        history = self.histories.get(key)
        if history is None or key_history.is_deleted(history):
            return None
        return key_history.created_and_version(history)

    def find_records(self, keys: list[bytes], bound: bytes | None) -> list[bytes]:
        """Return the puts in force of those keys that exist, in the order given; bound None: now."""
        histories = self.histories
        found = []
        if bound is None:
            newest = list(map(histories.__getitem__, keys))
            if _ONLY_BYTES.issuperset(map(type, newest)):
                return newest  # type: ignore[return-value]
            for history in newest:
                if type(history) is bytes:
                    found.append(history)
                elif history[LAST_KIND] != TOMBSTONE:
                    found.append(bytes(history[-RECORD_BYTES:]))
            return found
        for key in keys:
            record = key_history.find_before(histories[key], bound)
            if record is not None:
                found.append(record)
        return found

    def keys_between(self, start: bytes, end: bytes | None, limit: int = 0) -> list[bytes]:
        """Return the keys that exist now in [start, end)."""
        if not len(self.dead):
            return self.order.between(start, end, limit)
        found: list[bytes] = []
        histories = self.histories
        for keys in self.walk(start, end):
            found += [key for key in keys if not key_history.is_deleted(histories[key])]
            if limit and len(found) >= limit:
                return found[:limit]
        return found

    def count(self, start: bytes, end: bytes | None) -> int:
        """Return how many keys exist now in [start, end), without walking them."""
        return self.order.count(start, end) - self.dead.count(start, end)

    def count_all(self, start: bytes, end: bytes | None) -> int:
        """Return how many keys a walk over [start, end) has to look at."""
        return self.order.count(start, end)

    def walk(self, start: bytes, end: bytes | None, step: int = WALK_KEYS) -> Iterator[list[bytes]]:
        """Yield the known keys of [start, end), dead ones too, in pieces. Keys may come and go between pieces."""
        keys = self.order.between(start, end, step)
        while keys:
            yield keys
            if len(keys) < step:
                return
            keys = self.order.after(keys[-1], end, step)

    # -- compaction

    def compact(self, key: bytes, bound: bytes, main: int, limit: int) -> list[bytes]:
        """Forget what compaction at `main` makes unreachable of one key, `limit` records at most; return these."""
        history = self.histories[key]
        left, dropped = key_history.compact(history, bound, main, limit)
        if left is None:
            self._forget(key)
        elif left is not history:
            self.histories[key] = left
        return dropped

    def _forget(self, key: bytes) -> None:
        self.dead.remove(key)
        self.order.remove(key)
        del self.histories[key]

    # -- restart

    def load(self, histories: dict[bytes, History]) -> None:
        """Take over what was read from disk."""
        self.histories = histories
        self.order = KeyOrder(histories)
        self.dead = KeyOrder([key for key, history in histories.items() if key_history.is_deleted(history)])

    def check_invariants(self) -> None:
        """Raise where the rules do not hold. Walks everything: for tests."""
        ordered = self.order.between(b"", None)
        if ordered != sorted(self.histories):
            raise InvariantError(f"order has {len(ordered)} keys, histories {len(self.histories)}")
        dead = [key for key in ordered if key_history.is_deleted(self.histories[key])]
        if dead != self.dead.between(b"", None):
            raise InvariantError(f"{len(dead)} keys are deleted, dead has {len(self.dead)}")
        for history in self.histories.values():
            key_history.check_history(history)
