"""The key-value store as naive as it can be: a dict and a counter. What every answer is measured against.

revision   moves by one with each request that changes anything
history    every state there was, by revision: reads of the past need no cleverness
"""

from __future__ import annotations

from etcdpy.sim.requests import (
    ALL_KEYS,
    MOD_REVISION,
    VERSION,
    Compact,
    Compare,
    Delete,
    Item,
    Put,
    Range,
    Request,
    Response,
    Txn,
)

Change = tuple[bytes, bytes | None]  # key and new value; None: deleted


class Model:
    """See the top of the file."""

    def __init__(self) -> None:
        self.revision = 1
        self.compacted = -1  # Reads below it are refused.
        self._keys: dict[bytes, Item] = {}
        self.history: list[dict[bytes, Item]] = [{}, {}]  # Invariant: history[r] is the state at revision r.
        self.changes: list[list[Change]] = [[], []]  # Invariant: changes[r] is what revision r changed, in order.
        self._pending: list[Change] = []  # of the request being carried out

    def apply(self, request: Request) -> Response:
        """Carry out a request at the newest revision; return what its client must be told."""
        if isinstance(request, Compact):
            return self._compact(request.revision)
        response = self._run_txn(request) if isinstance(request, Txn) else self._run(request)
        if self._pending:
            self.revision += 1
            self.history.append(dict(self._keys))
            self.changes.append(self._pending)
            self._pending = []
        return response

    def items(self) -> tuple[Item, ...]:
        """Return everything as it is now."""
        return read_items(self._keys, ALL_KEYS, ALL_KEYS)

    # -- inside

    def _compact(self, revision: int) -> Response:
        if revision <= self.compacted:
            return ("error", "Compacted")
        if revision > self.revision:
            return ("error", "FutureRev")
        self.compacted = revision
        return ("ok",)

    def _run_txn(self, txn: Txn) -> Response:
        is_true = all([self._holds(compare) for compare in txn.compares])
        responses = [self._run(op) for op in (txn.success if is_true else txn.failure)]
        return ("txn", is_true, tuple(responses))

    def _holds(self, compare: Compare) -> bool:
        item = self._keys.get(compare.key)
        if compare.target == VERSION:
            return (item[4] if item else 0) == compare.operand
        if compare.target == MOD_REVISION:
            return (item[3] if item else 0) == compare.operand
        # The value of a key that is not there equals nothing (facts 1.3).
        return item is not None and item[1] == compare.operand

    def _run(self, request: Put | Delete | Range) -> Response:
        if isinstance(request, Put):
            return self._put(request.key, request.value)
        if isinstance(request, Delete):
            doomed = [item[0] for item in read_items(self._keys, request.key, request.end)]
            for key in doomed:
                del self._keys[key]
                self._pending.append((key, None))
            return ("deleted", len(doomed))
        return ("found", read_items(self._keys, request.key, request.end))

    def _put(self, key: bytes, value: bytes) -> Response:
        revision = self.revision + 1
        old = self._keys.get(key)
        created, version = (old[2], old[4] + 1) if old else (revision, 1)
        self._keys[key] = (key, value, created, revision, version)
        self._pending.append((key, value))
        return ("ok",)


def read_items(state: dict[bytes, Item], key: bytes, end: bytes) -> tuple[Item, ...]:
    """Return the items of a range, sorted: one key, or [key, end), where ALL_KEYS as the end is no end."""
    if not end:
        return (state[key],) if key in state else ()
    return tuple([state[name] for name in sorted(state) if name >= key and (end == ALL_KEYS or name < end)])
