"""What a change of the v2 tree tells the world, and the memory of the last thousand of them.

    action: get set update create delete expire compareAndSwap compareAndDelete

The history is a ring of fixed places, kept exactly as etcd keeps it because a `.snap` shows its places.

Upstream: server/etcdserver/api/v2store/event.go, event_queue.go, event_history.go.
"""

from __future__ import annotations

from typing import Final

GET: Final = "get"
SET: Final = "set"
UPDATE: Final = "update"
CREATE: Final = "create"
DELETE: Final = "delete"
EXPIRE: Final = "expire"
COMPARE_AND_SWAP: Final = "compareAndSwap"
COMPARE_AND_DELETE: Final = "compareAndDelete"

# etcd's: a watcher may ask for the past as far as this goes.
EVENT_HISTORY_MAX: Final = 1000


class NodeView:
    """A node as clients see it at one moment. `value` is None where it is not shown, `ttl` 0 where nothing expires."""

    __slots__ = ("key", "value", "is_dir", "expire_ns", "ttl", "nodes", "modified_index", "created_index")

    def __init__(
        self,
        key: str,
        *,
        modified_index: int = 0,
        created_index: int = 0,
        value: str | None = None,
        is_dir: bool = False,
    ) -> None:
        self.key = key
        self.value = value
        self.is_dir = is_dir
        self.expire_ns = 0
        self.ttl = 0
        self.nodes: list[NodeView] | None = None
        self.modified_index = modified_index
        self.created_index = created_index

    def __repr__(self) -> str:
        return f"NodeView({self.key}, {self.value!r}, modified={self.modified_index}, created={self.created_index})"


class Event:
    """One change, or the answer to a get. `etcd_index` is the store's index when it was made; it is not stored."""

    __slots__ = ("action", "node", "prev_node", "etcd_index", "is_refresh")

    def __init__(self, action: str, node: NodeView, prev_node: NodeView | None = None, etcd_index: int = 0) -> None:
        self.action = action
        self.node = node
        self.prev_node = prev_node
        self.etcd_index = etcd_index
        self.is_refresh = False  # only the time to live changed: watchers are not told

    def __repr__(self) -> str:
        return f"Event({self.action}, {self.node}, prev={self.prev_node})"


class EventHistory:
    """The last events, oldest first from place `front` on."""

    __slots__ = ("places", "size", "front", "back", "start_index", "last_index")

    def __init__(self, capacity: int = EVENT_HISTORY_MAX) -> None:
        self.places: list[Event | None] = [None] * capacity
        self.size = 0
        self.front = 0
        self.back = 0  # the place of the next event
        self.start_index = 0  # index of the oldest event held
        self.last_index = 0

    def add(self, event: Event) -> None:
        capacity = len(self.places)
        self.places[self.back] = event
        self.back = (self.back + 1) % capacity
        if self.size == capacity:
            self.front = (self.front + 1) % capacity
        else:
            self.size += 1
        oldest = self.places[self.front]
        assert oldest is not None
        self.start_index = oldest.node.modified_index
        self.last_index = event.node.modified_index

    def events(self) -> list[Event]:
        """Return the events, oldest first."""
        capacity = len(self.places)
        in_order = [self.places[(self.front + offset) % capacity] for offset in range(self.size)]
        return [event for event in in_order if event is not None]
