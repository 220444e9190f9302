"""A watcher and the stream it belongs to: plain records; `hub` moves them, `interest` indexes them.

A watcher is in one of these states:

    FUTURE     begins at a revision that does not exist yet
    UNSYNCED   has events to catch up with on its own; `cursor` is the first revision it was not told of
    ATTACHED   in its interest's bucket: it is told of everything at the moment when its stream is
    GONE       cancelled, or canceled by compaction: a later look at it finds nothing to do

A stream is either level with the hub, or lagging: then all its attached watchers have been told of everything before
the stream's `cursor`, and of nothing after. So a slow reader costs one number, not one per watcher.

Upstream: mvcc.watcher, mvcc.watchStream; its "victims" are our lagging streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etcdpy.state.watch.response import Item, encode_id_field

if TYPE_CHECKING:
    from etcdpy.state.watch.interest import Bucket

FUTURE: Final = 0
UNSYNCED: Final = 1
ATTACHED: Final = 2
GONE: Final = 3


class Watcher:
    """One watch of one stream."""

    __slots__ = (
        "stream",
        "watch_id",
        "id_field",
        "key",
        "range_end",
        "bits",
        "cursor",
        "state",
        "bucket",
        "had_events",
        "wants_progress",
    )

    def __init__(
        self, stream: Stream, watch_id: int, key: bytes, range_end: bytes | None, bits: int, wants_progress: bool
    ) -> None:
        self.stream = stream
        self.watch_id = watch_id
        self.id_field = encode_id_field(watch_id)
        self.key = key
        self.range_end = range_end  # None: this key alone; OPEN_END: all from key on
        self.bits = bits
        self.wants_progress = wants_progress
        self.cursor = 0  # Meaningful while FUTURE or UNSYNCED: all events before it were delivered or not wanted.
        self.state = GONE
        self.bucket: Bucket | None = None  # Invariant: not None if and only if state is ATTACHED.
        self.had_events = False  # since the stream's last progress tick, while it was not attached


class Stream:
    """All watchers of one call, and what waits to be written to it."""

    __slots__ = (
        "stream_id",
        "watchers",
        "next_watch_id",
        "outbox",
        "outbox_bytes",
        "is_blocked",
        "is_lagging",
        "is_queued",
        "cursor",
        "waiting",
        "unsynced_count",
        "is_progress_wanted",
        "progress_watchers",
        "progress_at",
        "is_closed",
    )

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id
        # None: canceled by compaction; the id stays taken until the client cancels it, as in etcd.
        self.watchers: dict[int, Watcher | None] = {}
        self.next_watch_id = 0
        self.outbox: list[Item] = []
        self.outbox_bytes = 0
        self.is_blocked = False  # the transport holds enough: hand it no more events
        self.is_lagging = False  # Invariant: is_blocked implies is_lagging.
        self.is_queued = False  # in the queue of those that catch up
        self.cursor = 0  # Meaningful while lagging.
        # Watchers that cannot go on before the stream is unblocked or level again.
        self.waiting: list[Watcher] = []
        self.unsynced_count = 0  # watchers FUTURE or UNSYNCED
        self.is_progress_wanted = False  # a progress request waits until all are synced
        self.progress_watchers: dict[int, Watcher] = {}
        self.progress_at: float | None = None  # when the next progress notification is due; None: not yet set
        self.is_closed = False

    @property
    def is_synced(self) -> bool:
        return not self.is_lagging and self.unsynced_count == 0
