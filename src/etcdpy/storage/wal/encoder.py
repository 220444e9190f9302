"""From entries and hard states to the bytes of the log, and the decision where a segment ends.

Runs on the loop's thread and touches no file: it knows the running checksum, the offset at which the next byte will
stand, and what a new segment must repeat, so that a batch says completely what the disk thread has to do. Batches must
be persisted in the order in which they were encoded.

This is on the road of every put. `encode` splices bytes; it makes no object per entry.

Upstream: WAL.Save and WAL.cut in server/wal/wal.go, raft.MustSync.
"""

from __future__ import annotations

import struct
from typing import Final

import google_crc32c

from etcdpy.base.invariant import InvariantError
from etcdpy.base.varint import encode_varint
from etcdpy.pb.raft_values import Entry, HardState
from etcdpy.storage.wal.names import SegmentName
from etcdpy.storage.wal.record import (
    CRC,
    ENTRY,
    LOW_VARINTS,
    METADATA,
    PAD_FLAGS,
    PADDING,
    SHORT_VARINTS,
    SNAPSHOT,
    STATE,
    WalSnapshot,
    encode_frame,
)

_FRAME_HEAD: Final = struct.Struct("<Q3s").pack
_ENTRY_HEAD: Final = b"\x08\x02\x10"
_SHORT: Final = SHORT_VARINTS
_LOW: Final = LOW_VARINTS


class Cut:
    """The segment ends here: cut its file to `end`, and begin `name` with `head`."""

    __slots__ = ("end", "name", "head")

    def __init__(self, end: int, name: SegmentName, head: bytes) -> None:
        self.end = end
        self.name = name
        self.head = head


class WalBatch:
    """What one `persist` writes: `data` at `offset` of the current segment, a sync if need be, then perhaps a cut."""

    __slots__ = ("number", "offset", "data", "must_sync", "cut")

    def __init__(self, number: int, offset: int, data: bytes, must_sync: bool, cut: Cut | None) -> None:
        self.number = number
        self.offset = offset
        self.data = data
        self.must_sync = must_sync
        self.cut = cut


class Encoder:
    """The end of the log as it will be when all batches encoded so far are persisted."""

    __slots__ = (
        "metadata",
        "sequence",
        "offset",
        "crc",
        "hard_state",
        "last_index",
        "number",
        "_segment_bytes",
        "_state_head",
    )

    def __init__(self, metadata: bytes, *, segment_bytes: int) -> None:
        self.metadata = metadata
        self.sequence = 0
        self.offset = 0
        self.crc = 0
        self.hard_state = HardState()  # the last one encoded; a new segment repeats it
        self.last_index = 0  # of the newest entry or snapshot encoded; names the next segment
        self.number = 0  # of the last batch
        self._state_head = b""  # Invariant: the bytes of term and vote of `hard_state`, or empty; they hardly change
        self._segment_bytes = segment_bytes

    def encode(self, entries: list[Entry], hard_state: HardState | None) -> WalBatch:
        """Return the batch that stores `entries` and then `hard_state`.

        What a reader would refuse is refused here: a log that cannot be read again is the worst place to notice a bug.
        """
        parts: list[bytes] = []
        must_sync = False
        if entries:
            must_sync = True
            self._check_entries(entries)
            self._encode_entries(entries, parts)
        if hard_state is not None and not hard_state.is_empty():
            known = self.hard_state
            self._check_hard_state(hard_state)
            must_sync = must_sync or hard_state.term != known.term or hard_state.vote != known.vote
            if (hard_state.term, hard_state.vote) != (known.term, known.vote) or not self._state_head:
                self._state_head = hard_state.encode_head()
            self.hard_state = HardState(hard_state.term, hard_state.vote, hard_state.commit)
            parts.append(self._encode_record(STATE, self._state_head + encode_varint(hard_state.commit)))
        return self._finish(b"".join(parts), must_sync, may_cut=True)

    def encode_snapshot(self, snapshot: WalSnapshot) -> WalBatch:
        """Return the batch that notes a snapshot. It is only written after the snapshot itself is durable."""
        if snapshot.index and snapshot.conf_state is None:
            raise InvariantError(f"wal: a snapshot record needs its conf_state: {snapshot}")
        self.last_index = max(self.last_index, snapshot.index)
        return self._finish(self._encode_record(SNAPSHOT, snapshot.encode()), must_sync=True, may_cut=False)

    def encode_segment_head(self) -> bytes:
        """Return what every segment begins with; the hard state is left out while there is none."""
        head = encode_frame(CRC, self.crc, None) + self._encode_record(METADATA, self.metadata)
        if not self.hard_state.is_empty():
            head += self._encode_record(STATE, self.hard_state.encode())
        return head

    def _check_entries(self, entries: list[Entry]) -> None:
        first, last = entries[0].index, entries[-1].index
        if not self.hard_state.commit < first <= self.last_index + 1 or last != first + len(entries) - 1:
            raise InvariantError(
                f"wal: entries {first} to {last} ({len(entries)}) do not continue {self.last_index}, "
                f"of which {self.hard_state.commit} is committed"
            )
        if not entries[0].term:
            raise InvariantError(f"wal: entry {first} has term 0")

    def _check_hard_state(self, state: HardState) -> None:
        known = self.hard_state
        if not state.term or state.term < known.term or state.commit < known.commit:
            raise InvariantError(f"wal: {state} goes back behind {known}")
        if state.commit > self.last_index:
            raise InvariantError(f"wal: commit {state.commit} is beyond the last entry {self.last_index}")

    def _encode_entries(self, entries: list[Entry], parts: list[bytes]) -> None:
        """Append the framed records of `entries` to `parts`."""
        add = parts.append
        extend = google_crc32c.extend
        crc = self.crc
        term = kind = -1
        prefix = b""
        for entry in entries:
            if entry.term != term or entry.type != kind:
                prefix = _encode_entry_prefix(entry)
                term, kind = entry.term, entry.type
            index = entry.index
            data = entry.data
            size = len(data)
            if size and index < 1 << 28:
                # Entry.encode(), spliced.
                body = prefix + (_LOW[index & 16383] + _SHORT[index >> 14] if index >= 16384 else _SHORT[index])
                body += b'"' + (_SHORT[size] if size < 16384 else encode_varint(size)) + data
            else:
                body = _encode_rare_entry(entry)
            crc = extend(crc, body)
            size = len(body)
            if crc >= 1 << 28 and size < 16384:
                size_bytes = _SHORT[size]
                length = 9 + len(size_bytes) + size
                add(_FRAME_HEAD(length | PAD_FLAGS[length & 7], _ENTRY_HEAD))
                add(_LOW[crc & 16383] + _LOW[crc >> 14 & 16383] + _SHORT[crc >> 28] + b"\x1a" + size_bytes)
                add(body)
                add(PADDING[length & 7])
            else:
                add(encode_frame(ENTRY, crc, body))
        self.crc = crc
        self.last_index = entries[-1].index

    def _encode_record(self, record_type: int, data: bytes) -> bytes:
        self.crc = google_crc32c.extend(self.crc, data)
        return encode_frame(record_type, self.crc, data)

    def _finish(self, data: bytes, must_sync: bool, may_cut: bool) -> WalBatch:
        """Number the batch, and end the segment where it has become long enough."""
        offset = self.offset
        self.offset += len(data)
        self.number += 1
        cut = None
        if may_cut and data and self.offset >= self._segment_bytes:
            cut = self._cut()
        return WalBatch(self.number, offset, data, must_sync, cut)

    def _cut(self) -> Cut:
        end = self.offset
        self.sequence += 1
        name = SegmentName(self.sequence, self.last_index + 1)
        head = self.encode_segment_head()
        self.offset = len(head)
        return Cut(end, name, head)


def _encode_entry_prefix(entry: Entry) -> bytes:
    """Return an entry's bytes up to its index."""
    return b"\x08" + encode_varint(entry.type) + b"\x10" + encode_varint(entry.term) + b"\x18"


def _encode_rare_entry(entry: Entry) -> bytes:
    if entry.type and not entry.data:
        raise InvariantError(f"wal: entry {entry.index} changes the configuration, but has no data")
    return entry.encode()
