"""One call of Watch, and those of its connection.

    going    its events are made as they come
    full     the client has not taken what was written: until `on_drain` nothing is made for it
    held     too much waits on the connection: what was made already is kept here, until there is room

A client has thousands of streams on a connection, each with a message in memory. So when one of them finds the
connection crowded, all wait, and go on one after the other when there is room: but those that are read and need no
history, whose little messages pass.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from etcdpy.state.watch.response import Item
from etcdpy.transport.grpc.call import Call

if TYPE_CHECKING:
    from etcdpy.api.v3.watch import WatchApi

# What may be kept for the calls of a connection before none of them is let pass. What several have in common counts for
# each.
KEPT_BYTES_MAX: Final = 64 << 20
# A response from this size on is not copied for each of those who are sent it.
SHARED_BYTES_MIN: Final = 4096


class Crowd:
    """The watch calls of one connection."""

    __slots__ = ("connection", "going", "held", "kept_bytes")

    def __init__(self, connection: object) -> None:
        self.connection = connection
        # Invariant: each call of the connection that is not over stands in exactly one of the two.
        self.going: set[WatchCall] = set()
        self.held: OrderedDict[WatchCall, None] = OrderedDict()  # who waits longest comes first
        self.kept_bytes = 0  # Invariant: the sum of theirs.

    def hold(self, handler: WatchCall, *, is_level: bool) -> None:
        """Let `handler` wait."""
        self.going.remove(handler)
        self.held[handler] = None
        handler.is_held = True
        handler.is_level = is_level

    def look_at_next(self) -> WatchCall | None:
        """Return the call whose turn it is, going from now on; or None, and it waits for its next turn."""
        handler = next(iter(self.held))
        if not handler.may_write(handler.kept_bytes, is_level=handler.is_level):
            self.held.move_to_end(handler)
            return None
        del self.held[handler]
        handler.is_held = False
        self.going.add(handler)
        return handler

    def forget(self, handler: WatchCall) -> None:
        """The call is over."""
        self.going.discard(handler)
        self.held.pop(handler, None)


class WatchCall:
    """One call of Watch: the transport's StreamHandler."""

    __slots__ = (
        "call",
        "stream_id",
        "requires_leader",
        "crowd",
        "is_full",
        "is_held",
        "is_level",
        "kept_bytes",
        "_kept",
        "_api",
    )

    def __init__(self, api: WatchApi, call: Call, stream_id: int, crowd: Crowd, *, requires_leader: bool) -> None:
        self._api = api
        self.call = call
        self.stream_id = stream_id
        self.requires_leader = requires_leader
        self.crowd = crowd
        self.is_full = self.is_held = self.is_level = False
        self._kept: list[Item] = []  # Invariant: empty unless is_held.
        self.kept_bytes = 0
        crowd.going.add(self)

    def on_message(self, message: bytes, /) -> None:
        self._api.handle(self, message)

    def on_end(self) -> None:
        """The client asks for nothing more, but still listens."""

    def on_close(self, error: int, /) -> None:
        self._api.closed(self)

    def on_drain(self) -> None:
        self._api.drained(self)

    def keep(self, items: list[Item]) -> None:
        """Have `items` written when there is room on the connection."""
        size = size_of(items)
        self._kept += items
        self.kept_bytes += size
        self.crowd.kept_bytes += size

    def write_kept(self) -> None:
        """Write what was kept."""
        if self._kept:
            self.write_all(self._take_kept())

    def write_all(self, items: list[Item]) -> None:
        """Write all items, whatever the call says meanwhile; `is_full` tells whether it takes more."""
        write = self.call.write
        has_room = True
        for item in items:
            if isinstance(item, bytes):
                has_room = write(item)
                continue
            head, tail = item.head, item.tail
            if len(tail) < SHARED_BYTES_MIN:
                for field in item.id_fields:
                    has_room = write(head + field + tail)
            else:
                for field in item.id_fields:
                    has_room = write([head + field, tail])
        self.is_full = not has_room

    def end(self) -> None:
        """The call is over."""
        self.crowd.forget(self)
        self._take_kept()

    def may_write(self, size: int, *, is_level: bool) -> bool:
        """Return whether `size` bytes may be written now. `is_level`: the call is told only what happens now.

        On a crowded connection little ones may, of calls that are read and need no history: streams that stall do
        not starve them, and what may be kept of messages that turn out large is bounded.
        """
        if not self.call.is_crowded:
            return True
        return is_level and self.call.has_room(size) and self.crowd.kept_bytes <= KEPT_BYTES_MAX

    def _take_kept(self) -> list[Item]:
        items, self._kept = self._kept, []
        self.crowd.kept_bytes -= self.kept_bytes
        self.kept_bytes = 0
        return items


def size_of(items: list[Item]) -> int:
    """Return how many bytes the messages of `items` have."""
    return sum(len(item) if isinstance(item, bytes) else item.message_bytes * len(item.id_fields) for item in items)
