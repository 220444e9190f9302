"""From changes to the outboxes of streams: each body is made once, each outbox has a limit.

    changes --index.match--> {interest: events} --encode_units--> units --+--> outbox of stream 1
                                                                          +--> outbox of stream 2 ...

An outbox holds what was made since the caller last took it, a turn's worth. What would pass its limit is not made:
those watchers of the bucket that it no longer reached are detached and reported in `late`, to catch up on their own.
At least one watcher is served when the outbox is empty, so everybody gets on however large an event is. The bodies that
are joined of several events have a limit together, too: what is wanted of the rest comes by catching up.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from etcdpy.state.mvcc.change import Change
from etcdpy.state.watch.event import ChangeSource, Event, Unit, encode_units
from etcdpy.state.watch.interest import Bucket, InterestIndex
from etcdpy.state.watch.response import Fanout, Item, encode_header
from etcdpy.state.watch.watcher import Stream, Watcher

# Above this an outbox gets no further revisions before it was taken and written.
OUTBOX_BYTES_HIGH: Final = 1 << 20
# An outbox ends here, unless a single response is larger still.
OUTBOX_BYTES_MAX: Final = 4 << 20

# Bodies of several events are made anew for every interest: so much of them at a time.
JOINED_BYTES_MAX: Final = 16 << 20

assert OUTBOX_BYTES_HIGH < OUTBOX_BYTES_MAX


class Delivery:
    """Writes responses into outboxes."""

    def __init__(
        self, index: InterestIndex, source: ChangeSource, *, cluster_id: int, member_id: int, fragment_bytes_max: int
    ) -> None:
        self._index = index
        self._source = source
        self._cluster_id = cluster_id
        self._member_id = member_id
        self._fragment_bytes_max = fragment_bytes_max
        self.revision = 0  # what headers say
        self.raft_term = 0
        self._header = b""
        self._header_revision = self._header_term = -1  # Invariant: what _header carries.
        self.filled: list[Stream] = []  # Invariant: the streams whose outbox is not empty, each once.
        self.events_sent = 0  # events times watchers
        self.late: list[tuple[Watcher, int]] = []  # detached, with the first revision they were not told of

    def header(self) -> bytes:
        revision, term = self.revision, self.raft_term
        if revision != self._header_revision or term != self._header_term:
            self._header = encode_header(self._cluster_id, self._member_id, revision, term)
            self._header_revision, self._header_term = revision, term
        return self._header

    def header_without_revision(self) -> bytes:
        return encode_header(self._cluster_id, self._member_id, 0, self.raft_term)

    def put(self, stream: Stream, item: Item, size: int) -> None:
        if not stream.outbox:
            self.filled.append(stream)
        stream.outbox.append(item)
        stream.outbox_bytes += size

    def drop(self, stream: Stream) -> None:
        """The stream was closed: nobody wants what is in its outbox."""
        if stream.outbox:
            self.filled.remove(stream)
            stream.outbox = []
            stream.outbox_bytes = 0

    def deliver(self, changes: Sequence[Change], cohort: Collection[Stream] | None) -> None:
        """Tell attached watchers of `changes`: those of `cohort`, or of all streams that do not lag."""
        head = self.header()
        joined_bytes = 0
        for interest, events in self._index.match(changes).items():
            # Copies, because late watchers leave the index while we walk through it.
            for bits, buckets in tuple(interest.variants.items()):
                if joined_bytes > JOINED_BYTES_MAX and len(events) > 1:
                    self._put_off(buckets, events[0].revision, cohort)
                    continue
                units = encode_units(events, bits, self._source, self._fragment_bytes_max)
                if not units:
                    continue
                if len(events) > 1:
                    joined_bytes += sum([unit.size for unit in units])
                if cohort is None:
                    if len(units) == 1 and len(units[0].pieces) == 1:
                        self._send_response(buckets, units, head)
                        continue
                    for stream, bucket in tuple(buckets.items()):
                        if not stream.is_lagging:
                            self._send(stream, bucket, units, head)
                elif len(cohort) <= len(buckets):
                    for stream in cohort:
                        found = buckets.get(stream)
                        if found is not None:
                            self._send(stream, found, units, head)
                else:
                    for stream, bucket in tuple(buckets.items()):
                        if stream in cohort:
                            self._send(stream, bucket, units, head)

    def _put_off(self, buckets: dict[Stream, Bucket], first_revision: int, cohort: Collection[Stream] | None) -> None:
        """Let the watchers that would be told now catch up on their own."""
        for stream, bucket in tuple(buckets.items()):
            if not stream.is_lagging if cohort is None else stream in cohort:
                bucket.had_events = True
                for watcher in list(bucket.watchers.values()):
                    self._leave_behind(watcher, first_revision)

    def _leave_behind(self, watcher: Watcher, first_revision: int) -> None:
        self._index.detach(watcher)
        watcher.had_events = True
        self.late.append((watcher, first_revision))

    def _send_response(self, buckets: dict[Stream, Bucket], units: list[Unit], head: bytes) -> None:
        """Send one unit of one piece to all streams that do not lag: nearly always what there is to do."""
        unit = units[0]
        size, count, tail = unit.size, unit.event_count, unit.pieces[0]
        filled = self.filled
        for stream, bucket in tuple(buckets.items()):
            if stream.is_lagging:
                continue
            watchers = len(bucket.watchers)
            outbox_bytes = stream.outbox_bytes + size * watchers
            if outbox_bytes > OUTBOX_BYTES_MAX:
                self._send_what_fits(stream, bucket, units, head)
                continue
            bucket.had_events = True
            outbox = stream.outbox
            if not outbox:
                filled.append(stream)
            stream.outbox_bytes = outbox_bytes
            self.events_sent += count * watchers
            for run in bucket.known_runs or bucket.runs():
                outbox.append(Fanout(head, run, tail))

    def _send(self, stream: Stream, bucket: Bucket, units: list[Unit], head: bytes) -> None:
        for index, unit in enumerate(units):
            size = unit.size * len(bucket.watchers)
            if stream.outbox_bytes + size > OUTBOX_BYTES_MAX:
                self._send_what_fits(stream, bucket, units[index:], head)
                return
            bucket.had_events = True
            outbox = stream.outbox
            if not outbox:
                self.filled.append(stream)
            stream.outbox_bytes += size
            self.events_sent += unit.event_count * len(bucket.watchers)
            for tail in unit.pieces:
                for run in bucket.runs():
                    outbox.append(Fanout(head, run, tail))

    def _send_what_fits(self, stream: Stream, bucket: Bucket, units: list[Unit], head: bytes) -> None:
        bucket.had_events = True
        for unit in units:
            room = max(OUTBOX_BYTES_MAX - stream.outbox_bytes, 0) // unit.size
            if stream.outbox_bytes == 0:
                room = max(room, 1)
            for watcher in list(bucket.watchers.values())[room:]:
                self._leave_behind(watcher, unit.first_revision)
            if not bucket.watchers:
                return
            for tail in unit.pieces:
                for run in bucket.runs():
                    self.put(stream, Fanout(head, run, tail), 0)
            stream.outbox_bytes += unit.size * len(bucket.watchers)
            self.events_sent += unit.event_count * len(bucket.watchers)

    def send_to(self, watcher: Watcher, units: list[Unit]) -> Unit | None:
        """Tell one watcher of `units` while its stream's outbox has room; return the first that it was not told."""
        stream = watcher.stream
        head = self.header()
        run = (watcher.id_field,)
        for unit in units:
            if stream.outbox_bytes >= OUTBOX_BYTES_HIGH:
                return unit
            watcher.had_events = True
            for tail in unit.pieces:
                self.put(stream, Fanout(head, run, tail), 0)
            stream.outbox_bytes += unit.size
            self.events_sent += unit.event_count
        return None

    def encode(self, events: list[Event], bits: int) -> list[Unit]:
        return encode_units(events, bits, self._source, self._fragment_bytes_max) if events else []
