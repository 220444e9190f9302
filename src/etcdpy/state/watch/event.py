"""Events: a change of the store as watchers are told of it, encoded once however many of them hear it.

    Event        5a len { 08 01 if deleted } { 12 len kv } { 1a len previous kv, if asked for }
    EventBatch   the events of one interest in one stretch of revisions, cut into units

A unit is what must reach a watcher wholly or not at all: whole revisions, up to about a mebibyte of them, and one
larger revision alone. It is one response; or several, if the watcher asked for fragments and the unit passes the limit.

A deletion's kv carries the key and the revision of the deletion, nothing else. The previous kv is the key's value one
revision earlier; it is left out where compaction took it.

Upstream: mvccpb.Event, sendFragments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from etcdpy.base.varint import encode_varint
from etcdpy.state.mvcc.change import Change
from etcdpy.state.watch.response import ENVELOPE_BYTES_MAX, FRAGMENT

# Several revisions share one response up to here. etcd puts up to 1,000 revisions of any size into one when a watcher
# catches up; clients of other languages refuse messages above 4 MiB, so we stop earlier.
UNIT_BYTES_MAX: Final = 1 << 20

# What a watcher wants, as bits. Watchers of one interest and one stream with the same bits share their responses.
NO_PUT: Final = 1
NO_DELETE: Final = 2
PREV_KV: Final = 4
FRAGMENTED: Final = 8


class ChangeSource(Protocol):
    """The store, as far as watchers need it."""

    current_revision: int
    compact_revision: int
    record_changes: bool  # set while there are watchers: otherwise nobody takes the changes

    def changes_between(self, start_revision: int, end_revision: int, limit: int = ...) -> tuple[Sequence[Change], int]:
        """Return changes of [start, end), about `limit` but whole revisions, and the revision to go on from."""

    def get_kv_at(self, key: bytes, revision: int) -> bytes | None:
        """Return the encoded KeyValue that `key` had at `revision`; None: it had none, or it was compacted away."""


class Event:
    """A change on its way to watchers. Its bytes are made when first asked for."""

    __slots__ = ("change", "revision", "skip_bit", "_plain", "_with_previous")

    def __init__(self, change: Change) -> None:
        self.change = change
        self.revision = change.revision
        self.skip_bit = NO_DELETE if change.is_delete else NO_PUT
        self._plain: bytes | None = None
        self._with_previous: bytes | None = None

    def encode(self) -> bytes:
        """Return the event as an element of WatchResponse.events."""
        data = self._plain
        if data is None:
            body = self._body()
            data = self._plain = b"\x5a" + encode_varint(len(body)) + body
        return data

    def encode_with_previous(self, source: ChangeSource) -> bytes:
        data = self._with_previous
        if data is None:
            body = self._body()
            previous = source.get_kv_at(self.change.key, self.revision - 1)
            if previous is not None:
                body += b"\x1a" + encode_varint(len(previous)) + previous
            data = self._with_previous = b"\x5a" + encode_varint(len(body)) + body
        return data

    def _body(self) -> bytes:
        kv = self.change.kv_bytes
        tag = b"\x08\x01\x12" if self.change.is_delete else b"\x12"
        return tag + encode_varint(len(kv)) + kv


class Unit:
    """Whole revisions for one kind of watcher. `pieces` are the tails of its responses, usually one."""

    __slots__ = ("pieces", "size", "first_revision", "event_count")

    def __init__(self, pieces: Sequence[bytes], first_revision: int, event_count: int) -> None:
        self.pieces = pieces
        self.size = sum(map(len, pieces)) + ENVELOPE_BYTES_MAX * len(pieces)
        self.first_revision = first_revision
        self.event_count = event_count


def encode_units(events: list[Event], bits: int, source: ChangeSource, fragment_bytes_max: int) -> list[Unit]:
    """Return what a watcher with `bits` is told of `events`, which are in order and not empty."""
    if len(events) == 1:
        event = events[0]
        if bits & event.skip_bit:
            return []
        data = event.encode_with_previous(source) if bits & PREV_KV else event.encode()
        return [Unit((data,), event.revision, 1)]
    if bits & (NO_PUT | NO_DELETE):
        events = [event for event in events if not bits & event.skip_bit]
        if not events:
            return []
    chunks = (
        [event.encode_with_previous(source) for event in events] if bits & PREV_KV else [e.encode() for e in events]
    )
    size = sum(map(len, chunks))
    limit = min(fragment_bytes_max, UNIT_BYTES_MAX) if bits & FRAGMENTED else UNIT_BYTES_MAX
    if size + ENVELOPE_BYTES_MAX <= limit:
        return [Unit((b"".join(chunks),), events[0].revision, len(events))]
    return [
        _make_unit(chunks[start:stop], events[start].revision, bits, fragment_bytes_max)
        for start, stop in _cut_at_revisions(events, chunks, limit)
    ]


def _cut_at_revisions(events: list[Event], chunks: list[bytes], limit: int) -> list[tuple[int, int]]:
    """Return index ranges that hold whole revisions and at most `limit` bytes, or one revision."""
    ranges = []
    start = 0  # of the unit
    boundary = 0  # of the revision that is being read
    size = 0
    for index, event in enumerate(events):
        if index and event.revision != events[index - 1].revision:
            boundary = index
        size += len(chunks[index])
        if size > limit and boundary > start:
            ranges.append((start, boundary))
            start = boundary
            size = sum(map(len, chunks[start : index + 1]))
    ranges.append((start, len(events)))
    return ranges


def _make_unit(chunks: list[bytes], first_revision: int, bits: int, fragment_bytes_max: int) -> Unit:
    if not bits & FRAGMENTED:
        return Unit((b"".join(chunks),), first_revision, len(chunks))
    pieces: list[bytes] = []
    piece: list[bytes] = []
    size = ENVELOPE_BYTES_MAX
    for chunk in chunks:
        if piece and size + len(chunk) >= fragment_bytes_max:
            pieces.append(FRAGMENT + b"".join(piece))
            piece = []
            size = ENVELOPE_BYTES_MAX
        piece.append(chunk)
        size += len(chunk)
    pieces.append(b"".join(piece))
    return Unit(pieces, first_revision, len(chunks))
