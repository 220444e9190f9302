"""The watch hub: changes of the store come in, responses for streams go out. No sockets, clocks or callbacks.

    open_stream, create, cancel, request_progress, close_stream   what clients ask
    notify(changes)      once per applied batch: all changes above `revision`, in order
    sync_step()          while `has_work`: one bounded step for those who are behind
    tick(now)            periodic progress notifications
    take_output()        what is to be written to which stream; the caller then says block() and unblock()

Promises to a watcher (guarantees of etcd)
  * Ordered, unique, reliable: events by revision, each once, none left out.
  * Atomic: the events of one revision come in one response, unless the watcher asked for fragments.
  * Resumable: it may begin at any revision that was not compacted.
  * Bookmarkable: after a progress response with revision R, no event at or below R follows.

Speed: a change costs a look-up; a body is encoded once per interest and variant; a stream with many alike watchers gets
one `Fanout`. Memory: outboxes are bounded, and a stream that does not drain is only a number (its cursor).
While `is_idle`, the store records no changes and notify need not be called: the first watcher asks the store where
it stands.

Upstream: mvcc/watchable_store.go, v3rpc/watch.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from etcdpy.base.clock import Random
from etcdpy.pb import rpc_pb2
from etcdpy.state.mvcc.change import Change
from etcdpy.state.watch.catch_up import CatchUp, cut_at_revision
from etcdpy.state.watch.delivery import OUTBOX_BYTES_HIGH, Delivery
from etcdpy.state.watch.event import FRAGMENTED, NO_DELETE, NO_PUT, PREV_KV, ChangeSource
from etcdpy.state.watch.future import FutureWatchers
from etcdpy.state.watch.interest import InterestIndex
from etcdpy.state.watch.progress import Progress
from etcdpy.state.watch.range_tree import OPEN_END
from etcdpy.state.watch.response import CANCELED, CREATED, NO_WATCHER_FIELD, Item, encode_id_field, encode_reason
from etcdpy.state.watch.watcher import ATTACHED, FUTURE, GONE, UNSYNCED, Stream, Watcher

# What clients read: etcd's words.
RANGE_IS_EMPTY: Final = "mvcc: watcher range is empty"
ID_IS_TAKEN: Final = "mvcc: duplicate watch ID provided on the WatchStream"
REVISION_IS_COMPACTED: Final = "etcdserver: mvcc: required revision has been compacted"


class WatchHub:
    """All watches of one member."""

    def __init__(
        self,
        source: ChangeSource,
        *,
        cluster_id: int,
        member_id: int,
        fragment_bytes_max: int,
        progress_interval_seconds: float,
        random: Random,
    ) -> None:
        self._source = source
        self._index = InterestIndex()
        self._delivery = Delivery(
            self._index, source, cluster_id=cluster_id, member_id=member_id, fragment_bytes_max=fragment_bytes_max
        )
        self._catch_up = CatchUp(self._index, self._delivery, source)
        self._progress = Progress(self._delivery, interval_seconds=progress_interval_seconds, random=random)
        self._streams: dict[int, Stream] = {}
        self._next_stream_id = 1
        self._watcher_count = 0
        self._has_widest_gone = False
        self._future = FutureWatchers()
        self._delivery.revision = source.current_revision

    # -- what it is

    @property
    def revision(self) -> int:
        """All changes up to here have been given to notify (or nobody was there to hear of them)."""
        return self._delivery.revision

    @property
    def raft_term(self) -> int:
        return self._delivery.raft_term

    @raft_term.setter
    def raft_term(self, term: int) -> None:
        self._delivery.raft_term = term

    @property
    def is_idle(self) -> bool:
        return self._watcher_count == 0

    @property
    def has_work(self) -> bool:
        """Whether sync_step would find something to do."""
        return self._catch_up.has_work

    @property
    def watcher_count(self) -> int:
        return self._watcher_count

    @property
    def stream_count(self) -> int:
        return len(self._streams)

    @property
    def events_sent(self) -> int:
        """Events times the watchers that were told of them."""
        return self._delivery.events_sent

    @property
    def unsynced_count(self) -> int:
        """Watchers that have not been told of everything (etcd_debugging_mvcc_slow_watcher_total)."""
        count = 0
        for stream in self._streams.values():
            count += len(stream.watchers) if stream.is_lagging else stream.unsynced_count
        return count

    # -- streams

    def open_stream(self) -> int:
        stream_id = self._next_stream_id
        self._next_stream_id += 1
        self._streams[stream_id] = Stream(stream_id)
        return stream_id

    def close_stream(self, stream_id: int) -> None:
        """Forget the stream and all its watchers."""
        stream = self._streams.pop(stream_id)
        stream.is_closed = True
        for watcher in stream.watchers.values():
            if watcher is not None:
                self._remove(watcher)
        self._progress.forget(stream)
        if len(stream.watchers) >= self._catch_up.widest:
            self._has_widest_gone = True
        stream.watchers = {}
        stream.waiting = []
        self._delivery.drop(stream)
        self._catch_up.forget(stream)

    def block(self, stream_id: int) -> None:
        """The transport has enough: make no more events for this stream."""
        stream = self._streams[stream_id]
        if not stream.is_blocked:
            self._catch_up.block(stream)

    def unblock(self, stream_id: int) -> None:
        """The transport takes more: what was missed comes by sync_step."""
        stream = self._streams[stream_id]
        if stream.is_blocked:
            self._catch_up.unblock(stream)

    def is_level(self, stream_id: int) -> bool:
        """Whether the stream's watchers know all that there is: what comes to it is what happens now."""
        stream = self._streams[stream_id]
        return not (stream.is_lagging or stream.unsynced_count)

    # -- requests

    def create(self, stream_id: int, request: rpc_pb2.WatchCreateRequest) -> None:
        """Start a watch, or answer why not."""
        self._catch_up_with_store()
        stream = self._streams[stream_id]
        key = request.key or b"\0"
        end = request.range_end
        range_end = None if not end else OPEN_END if end == b"\0" else end
        if request.start_revision < 0:
            self._refuse(stream, REVISION_IS_COMPACTED)
        elif range_end and range_end <= key:
            self._refuse(stream, RANGE_IS_EMPTY)
        elif request.watch_id and request.watch_id in stream.watchers:
            self._refuse(stream, ID_IS_TAKEN)
        else:
            watch_id = request.watch_id or self._next_watch_id(stream)
            watcher = Watcher(stream, watch_id, key, range_end, _bits(request), request.progress_notify)
            self._add(watcher)
            data = self._delivery.header() + watcher.id_field + CREATED
            self._delivery.put(stream, data, len(data))
            self._place(watcher, request.start_revision or self.revision + 1)

    def refuse(self, stream_id: int, reason: str) -> None:
        """Answer a creation that is not permitted."""
        self._catch_up_with_store()
        self._refuse(self._streams[stream_id], reason)

    def cancel(self, stream_id: int, watch_id: int) -> None:
        """End a watch; an unknown id is not answered."""
        stream = self._streams[stream_id]
        if watch_id not in stream.watchers:
            return
        watcher = stream.watchers.pop(watch_id)
        if watcher is not None:
            self._remove(watcher)
        data = self._delivery.header() + encode_id_field(watch_id) + CANCELED
        self._delivery.put(stream, data, len(data))
        self._progress.answer()

    def request_progress(self, stream_id: int) -> None:
        """Answer with the revision up to which all watchers of the stream know everything, once they do."""
        stream = self._streams[stream_id]
        self._catch_up_with_store()
        self._progress.ask(stream)

    # -- changes

    def notify(self, changes: Sequence[Change]) -> None:
        """Take the changes of one or more whole revisions; what is not above `revision` is known already."""
        if not changes:
            return
        first = self._delivery.revision + 1
        if changes[0].revision < first:
            changes = [change for change in changes if change.revision >= first]
            if not changes:
                return
        last = changes[-1].revision
        self._delivery.revision = last
        if not self._watcher_count:
            self._catch_up.skip()
            return
        if self._future:
            self._start_future(first, last)
        self._catch_up.record(changes)
        self._tell_level_streams(changes)
        self._progress.answer()

    def sync_step(self) -> None:
        """Bring those who are behind one bounded step forward. Write the output before the next step."""
        self._catch_up.step_streams()
        self._take_late()
        self._catch_up.step_watchers()
        self._count_watchers(-self._catch_up.compacted_count)
        self._catch_up.compacted_count = 0
        self._progress.answer()

    def restore(self) -> None:
        """The store's content was replaced: everybody goes on, from the store, where he stood."""
        streams = list(self._streams.values())
        told = self._delivery.revision
        stood: list[tuple[Watcher, int]] = []
        for stream in streams:
            for watcher in stream.watchers.values():
                if watcher is None:
                    continue
                if watcher.state == ATTACHED:
                    stood.append((watcher, stream.cursor if stream.is_lagging else told + 1))
                    self._index.detach(watcher)
                else:
                    stood.append((watcher, watcher.cursor))
                watcher.state = GONE
            stream.unsynced_count = 0
        self._future.clear()
        self._delivery.revision = self._source.current_revision
        self._catch_up.start_over(streams)
        for watcher, cursor in stood:
            self._place_detached(watcher, cursor)

    def tick(self, now: float) -> None:
        """Send the progress notifications that are due."""
        self._progress.tick(now)
        if self._has_widest_gone:
            # Not when it goes: ten thousand streams of a connection go at once.
            self._has_widest_gone = False
            self._catch_up.widest = max((len(stream.watchers) for stream in self._streams.values()), default=1) or 1

    def take_output(self) -> list[tuple[int, list[Item]]]:
        """Return (stream id, what to write, in order) for each stream with something to write."""
        filled, self._delivery.filled = self._delivery.filled, []
        output = []
        for stream in filled:
            outbox, stream.outbox = stream.outbox, []
            stream.outbox_bytes = 0
            output.append((stream.stream_id, outbox))
        return output

    # -- inside

    def _catch_up_with_store(self) -> None:
        """While nobody watched, notify need not have been called."""
        if self.is_idle and self._source.current_revision > self._delivery.revision:
            self._delivery.revision = self._source.current_revision
            self._catch_up.skip()

    def _tell_level_streams(self, changes: Sequence[Change]) -> None:
        """Deliver in parts, so that no outbox grows far beyond its limit; who is full by then lags."""
        if len(changes) == 1:
            self._delivery.deliver(changes, None)
            self._take_late()
            return
        bytes_max = self._catch_up.part_bytes_max
        start = 0
        while True:
            stop = cut_at_revision(changes, start, bytes_max)
            part = changes if stop - start == len(changes) else changes[start:stop]
            self._delivery.deliver(part, None)
            self._take_late()
            if stop == len(changes):
                return
            for stream in self._delivery.filled:
                if stream.outbox_bytes >= OUTBOX_BYTES_HIGH and not stream.is_lagging:
                    self._catch_up.lag(stream, changes[stop].revision, changes[stop:])
            start = stop

    def _take_late(self) -> None:
        if self._delivery.late:
            late, self._delivery.late = self._delivery.late, []
            for watcher, cursor in late:
                self._catch_up.add(watcher, cursor)

    def _add(self, watcher: Watcher) -> None:
        stream = watcher.stream
        stream.watchers[watcher.watch_id] = watcher
        self._count_watchers(1)
        self._catch_up.widest = max(self._catch_up.widest, len(stream.watchers))
        if watcher.wants_progress:
            self._progress.add(watcher)

    def _count_watchers(self, change: int) -> None:
        self._watcher_count += change
        self._source.record_changes = self._watcher_count > 0

    def _place(self, watcher: Watcher, cursor: int) -> None:
        """Put a new watcher where it belongs: it is to be told of everything from `cursor` on."""
        if cursor == self.revision + 1 and not watcher.stream.is_lagging:
            self._index.attach(watcher)
        else:
            self._place_detached(watcher, cursor)

    def _place_detached(self, watcher: Watcher, cursor: int) -> None:
        if cursor <= self.revision + 1:
            self._catch_up.add(watcher, cursor)
            return
        self._future.add(watcher, cursor)

    def _start_future(self, first: int, last: int) -> None:
        """Revisions first..last come into being: those who waited for one of them begin."""
        for watcher in self._future.take_started(last):
            if watcher.cursor == first and not watcher.stream.is_lagging:
                self._index.attach(watcher)
            else:
                self._catch_up.add(watcher, watcher.cursor)

    def _remove(self, watcher: Watcher) -> None:
        stream = watcher.stream
        if watcher.state == ATTACHED:
            self._index.detach(watcher)
        elif watcher.state == FUTURE:
            self._future.remove(watcher)
        else:
            stream.unsynced_count -= 1
        watcher.state = GONE
        self._count_watchers(-1)
        if watcher.wants_progress:
            self._progress.remove(watcher)

    def _refuse(self, stream: Stream, reason: str) -> None:
        data = self._delivery.header() + NO_WATCHER_FIELD + CREATED + CANCELED + encode_reason(reason)
        self._delivery.put(stream, data, len(data))

    @staticmethod
    def _next_watch_id(stream: Stream) -> int:
        while stream.next_watch_id in stream.watchers:
            stream.next_watch_id += 1
        stream.next_watch_id += 1
        return stream.next_watch_id - 1

    def check_invariants(self) -> None:
        """For tests: every rule written on the fields holds."""
        self._index.check_invariants()
        count = 0
        for stream in self._streams.values():
            watchers = [watcher for watcher in stream.watchers.values() if watcher is not None]
            count += len(watchers)
            assert not stream.is_blocked or stream.is_lagging
            assert bool(stream.outbox) == (stream in self._delivery.filled)
            assert stream.unsynced_count == sum(watcher.state in (FUTURE, UNSYNCED) for watcher in watchers)
            self._progress.check_invariants(stream)
            for watcher in watchers:
                assert watcher.state != GONE
                assert (watcher.bucket is not None) == (watcher.state == ATTACHED)
                assert (watcher.state == FUTURE) == self._future.holds(watcher)
        assert count == self._watcher_count
        assert self._catch_up.lagging_count == sum(stream.is_lagging for stream in self._streams.values())


def _bits(request: rpc_pb2.WatchCreateRequest) -> int:
    bits = PREV_KV if request.prev_kv else 0
    if request.fragment:
        bits |= FRAGMENTED
    for kind in request.filters:
        if kind == rpc_pb2.WatchCreateRequest.NOPUT:
            bits |= NO_PUT
        elif kind == rpc_pb2.WatchCreateRequest.NODELETE:
            bits |= NO_DELETE
    return bits
