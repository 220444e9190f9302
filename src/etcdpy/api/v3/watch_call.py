"""One call of Watch, and those of its connection.

    going    its events are made as they come
    full     the client has not taken what was written: until `on_drain` nothing is made for it
    held     too much waits on the connection: what was made already is kept here, until there is room

A client has thousands of streams on a connection, each with a message in memory. So when one of them finds the
connection crowded, all of them wait, and go on one after the other, in the order in which they came to wait.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from etcdpy.state.watch.response import Item
from etcdpy.transport.grpc.call import Call

if TYPE_CHECKING:
    from etcdpy.api.v3.watch import WatchApi

# A response from this size on is not copied for each of those who are sent it.
SHARED_BYTES_MIN: Final = 4096


class Crowd:
    """The watch calls of one connection."""

    __slots__ = ("connection", "going", "held")

    def __init__(self, connection: object) -> None:
        self.connection = connection
        # Invariant: each call of the connection that is not over stands in exactly one of the two.
        self.going: set[WatchCall] = set()
        self.held: OrderedDict[WatchCall, None] = OrderedDict()  # who waits longest comes first

    def hold_all(self) -> list[WatchCall]:
        """The connection is crowded: let all wait; return those that were still going."""
        stopped = sorted(self.going, key=lambda handler: handler.stream_id)
        self.going.clear()
        for handler in stopped:
            handler.is_held = True
            self.held[handler] = None
        return stopped

    def next_to_go(self) -> WatchCall | None:
        """Return the call whose turn it is to go on, if the connection has room; it is going from now on."""
        handler = next(iter(self.held), None)
        if handler is None or handler.call.is_crowded:
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

    __slots__ = ("call", "stream_id", "requires_leader", "crowd", "is_full", "is_held", "_kept", "_api")

    def __init__(self, api: WatchApi, call: Call, stream_id: int, crowd: Crowd, *, requires_leader: bool) -> None:
        self._api = api
        self.call = call
        self.stream_id = stream_id
        self.requires_leader = requires_leader
        self.crowd = crowd
        self.is_full = self.is_held = False
        self._kept: list[Item] = []  # Invariant: empty unless is_held.
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
        self._kept += items

    def write_kept(self) -> None:
        """Write what was kept."""
        if self._kept:
            items, self._kept = self._kept, []
            self.write_all(items)

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
        self._kept = []
