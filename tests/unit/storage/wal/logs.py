"""Logs for the tests of the WAL: one made record by record, and a decoder that shares nothing with ours.

`decode_log` is written from the format's description alone: its own checksum table, its own varints, its own loop. It
knows good logs only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from etcdpy.pb.raft_values import ConfState, Entry, HardState
from etcdpy.storage.wal.encoder import Encoder
from etcdpy.storage.wal.reader import Log, SegmentBytes, replay_segments
from etcdpy.storage.wal.record import WalSnapshot

METADATA = b"\x08\x01\x10\x02"


@dataclass
class BuiltLog:
    """A log of one segment, and what it says up to the end of each of its records."""

    encoder: Encoder
    data: bytearray
    entries: list[Entry] = field(default_factory=list)
    state: HardState = field(default_factory=HardState)
    # (offset after the record, entries so far, hard state so far), in order; the head counts as one record.
    points: list[tuple[int, int, HardState]] = field(default_factory=list)

    def add_entry(self, entry: Entry) -> None:
        self.data += self.encoder.encode([entry], None).data
        self.entries.append(entry)
        self._mark()

    def add_state(self, state: HardState) -> None:
        self.data += self.encoder.encode([], state).data
        self.state = state
        self._mark()

    def add_snapshot(self, snapshot: WalSnapshot) -> None:
        self.data += self.encoder.encode_snapshot(snapshot).data
        self._mark()

    def _mark(self) -> None:
        self.points.append((len(self.data), len(self.entries), self.state))

    def known_at(self, offset: int) -> tuple[list[Entry], HardState, int]:
        """Return what a log cut at `offset` still says, and where its last whole record ends."""
        end, count, state = max((p for p in self.points if p[0] <= offset), key=lambda point: point[0])
        return self.entries[:count], state, end


def start_log() -> BuiltLog:
    encoder = Encoder(METADATA, segment_bytes=1 << 40)
    data = bytearray(encoder.encode_segment_head())
    log = BuiltLog(encoder, data)
    log.add_snapshot(WalSnapshot())
    return log


def build_log(sizes: list[int], *, fill: bytes | None = None, snapshot_at: int = 0) -> BuiltLog:
    """Return a log as a member that serves writes makes it: entries of these sizes, a commit after each."""
    log = start_log()
    for index, size in enumerate(sizes, 1):
        term = 1 + index // 7
        payload = (fill or bytes([index % 251 + 1])) * size
        log.add_entry(Entry(term, index, 0, payload[:size]))
        log.add_state(HardState(term, 0x1234_5678_9ABC, index))
        if index == snapshot_at:
            log.add_snapshot(WalSnapshot(index, term, ConfState([0x1234_5678_9ABC])))
    return log


def read_bytes(data: bytes | bytearray, start: WalSnapshot | None = None) -> Log:
    return replay_segments(start or WalSnapshot(), [SegmentBytes("0.wal", 0, bytes(data))], 1)


@dataclass
class PlainRecord:
    type: int
    crc: int
    data: bytes


def decode_log(data: bytes, crc: int = 0) -> list[PlainRecord]:
    """Return the records of a good segment. Any doubt is an AssertionError."""
    records: list[PlainRecord] = []
    position = 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 7], "little")
        top = data[position + 7]
        if not length and not top:
            break
        pad = top & 7 if top else 0
        assert (length + pad) % 8 == 0 and pad < 8 and (top == 0 or top == 0x80 | pad)
        fields = _decode_fields(data[position + 8 : position + 8 + length])
        payload = fields.get(3, b"")
        assert isinstance(payload, bytes) and isinstance(fields[1], int) and isinstance(fields[2], int)
        crc = fields[2] if fields[1] == 4 else _crc32c(crc, payload)
        assert crc == fields[2]
        records.append(PlainRecord(fields[1], crc, payload))
        position += 8 + length + pad
    assert not any(data[position:])
    return records


def _decode_fields(data: bytes) -> dict[int, int | bytes]:
    fields: dict[int, int | bytes] = {}
    position = 0
    while position < len(data):
        tag, position = _decode_number(data, position)
        number, position = _decode_number(data, position)
        if tag & 7 == 0:
            fields[tag >> 3] = number
        else:
            assert tag & 7 == 2 and position + number <= len(data)
            fields[tag >> 3] = data[position : position + number]
            position += number
    return fields


def decode_entry_fields(data: bytes) -> Entry:
    fields = _decode_fields(data)
    kind, term, index, payload = fields[1], fields[2], fields[3], fields.get(4, b"")
    assert isinstance(kind, int) and isinstance(term, int) and isinstance(index, int) and isinstance(payload, bytes)
    return Entry(term, index, kind, payload)


def decode_state_fields(data: bytes) -> HardState:
    fields = _decode_fields(data)
    term, vote, commit = fields[1], fields[2], fields[3]
    assert isinstance(term, int) and isinstance(vote, int) and isinstance(commit, int)
    return HardState(term, vote, commit)


def _decode_number(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while data[position] > 127:
        number |= (data[position] & 127) << shift
        shift += 7
        position += 1
    return number | data[position] << shift, position + 1


def _make_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _make_table()


def _crc32c(crc: int, data: bytes) -> int:
    crc ^= 0xFFFF_FFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFF_FFFF
