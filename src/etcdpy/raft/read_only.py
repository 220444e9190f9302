"""Reads that wait for the confirmation that we still lead.

    queue:  [ctx1 ctx2 ctx3]      a heartbeat carries the newest context;
                                  a quorum that answers it confirms every read that was asked for before

Rules
  * A context is waiting at most once; asking again with the same one changes nothing.
  * `index` is the commit index at the time of asking: what a linearizable read must at least see.
  * Confirming one confirms all before it, in order: they were asked for earlier.

Upstream: raft/read_only.go. Thesis 6.4.
"""

from __future__ import annotations

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import Message


class ReadState:
    """The answer to one read_index: serve the read once `index` is applied."""

    __slots__ = ("index", "context")

    def __init__(self, index: int, context: bytes) -> None:
        self.index = index
        self.context = context

    def __repr__(self) -> str:
        return f"ReadState(index={self.index}, context={self.context!r})"


class PendingRead:
    """One read that waits for a quorum."""

    __slots__ = ("request", "index", "acked")

    def __init__(self, request: Message, index: int) -> None:
        self.request = request
        self.index = index
        self.acked: set[int] = set()


class ReadOnly:
    """See the top of the file. The dict keeps the order of asking."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: dict[bytes, PendingRead] = {}

    def add(self, request: Message, index: int) -> None:
        context = request.entries[0].data
        if context not in self._pending:
            self._pending[context] = PendingRead(request, index)

    def acknowledge(self, member: int, context: bytes) -> set[int]:
        """Note that `member` answered a heartbeat with `context`; return who has. Empty when nobody waits for it."""
        pending = self._pending.get(context)
        if pending is None:
            return set()
        pending.acked.add(member)
        return pending.acked

    def take_confirmed(self, context: bytes) -> list[PendingRead]:
        """Return and forget the read of `context` and all that were asked for before it."""
        if context not in self._pending:
            return []
        confirmed = []
        for waiting in list(self._pending):
            confirmed.append(self._pending.pop(waiting))
            if waiting == context:
                break
        return confirmed

    def newest_context(self) -> bytes:
        """Return the context that confirms most, or b"" when nothing waits."""
        return next(reversed(self._pending), b"")

    def check_invariants(self) -> None:
        index = 0
        for pending in self._pending.values():
            if pending.index < index:
                raise InvariantError(f"read at {pending.index} waits after one at {index}")
            index = pending.index
