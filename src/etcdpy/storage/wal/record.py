"""The frame around everything in the WAL, and the checks that its checksum does not make.

    | 8 bytes LE: length, top byte 0x80 + pad where padded | 08 type | 10 crc | 1a size data | 0-7 zeros |

`crc` is a CRC32-Castagnoli over all data since the log began, each record's seeded with the one before. It covers
`data` alone: neither length, nor type, nor padding, nor the fields' tags. What guards those:
  * the length must fit the size of the data inside, and its top byte the length;
  * the tags, their order and the padding must be exactly those that every etcd writes;
  * the type must be one that we know, and the data exactly of its shape (decoders below): an entry read as a hard
    state has a field too many, or term 0; a hard state read as an entry has an impossible type, or no data;
  * what is said must continue what was said before (`replay`).

Upstream: server/wal/encoder.go, server/wal/walpb.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from etcdpy.base.varint import LAST_GROUPS, MORE_GROUPS, decode_varint, encode_varint
from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE_V2, ENTRY_NORMAL, ConfState, Entry, HardState

METADATA: Final = 1
ENTRY: Final = 2
STATE: Final = 3
CRC: Final = 4
SNAPSHOT: Final = 5

TYPE_NAMES: Final = {METADATA: "metadata", ENTRY: "entry", STATE: "hard state", CRC: "crc", SNAPSHOT: "snapshot"}
# All but crc records carry data.
DATA_TYPES: Final = frozenset((METADATA, ENTRY, STATE, SNAPSHOT))

FRAME_HEAD_BYTES: Final = 8
LENGTH_MASK: Final = (1 << 56) - 1
# Indexed by length % 8: the length field's flag bits, its top byte, and the padding itself.
PAD_FLAGS: Final = [0] + [(0x80 | 8 - n) << 56 for n in range(1, 8)]
PAD_TOP_BYTE: Final = [flags >> 56 for flags in PAD_FLAGS]
PADDING: Final = [b"\0" * (-n % 8) for n in range(8)]

# Numbers of one and two bytes as varints, and the two low bytes of longer ones (14 bits, "more follows"): looked up
# where a function call per number would be felt.
SHORT_VARINTS: Final = LAST_GROUPS
LOW_VARINTS: Final = MORE_GROUPS


class MalformedRecord(Exception):
    """These bytes are no record of an etcd. The reader adds where they stand."""


class WalSnapshot:
    """The WAL's note that a snapshot exists at this point of the log. Since 3.5 it says who votes there."""

    __slots__ = ("index", "term", "conf_state")

    def __init__(self, index: int = 0, term: int = 0, conf_state: ConfState | None = None) -> None:
        self.index = index
        self.term = term
        self.conf_state = conf_state

    def __repr__(self) -> str:
        return f"WalSnapshot(index={self.index}, term={self.term}, conf_state={self.conf_state})"

    def __eq__(self, other: object) -> bool:
        """Equal as points of the log; 3.4 and older note no conf_state."""
        return isinstance(other, WalSnapshot) and (self.index, self.term) == (other.index, other.term)

    __hash__ = None  # type: ignore[assignment]

    def encode(self) -> bytes:
        head = b"\x08" + encode_varint(self.index) + b"\x10" + encode_varint(self.term)
        if self.conf_state is None:
            return head
        conf_state = self.conf_state.to_pb().SerializeToString()
        return head + b"\x1a" + encode_varint(len(conf_state)) + conf_state


def encode_frame(record_type: int, crc: int, data: bytes | None) -> bytes:
    """Return one record in its frame; `crc` already covers `data`."""
    record = b"\x08%c\x10%b" % (record_type, encode_varint(crc))
    if data is not None:
        record += b"\x1a" + encode_varint(len(data)) + data
    length = len(record)
    return (length | PAD_FLAGS[length & 7]).to_bytes(8, "little") + record + PADDING[length & 7]


def decode_entry(data: bytes) -> Entry:
    """Return the entry that `data` is exactly. Raise MalformedRecord."""
    try:
        entry_type = data[1]
        if data[0] != 0x08 or data[2] != 0x10 or entry_type > ENTRY_CONF_CHANGE_V2:
            raise MalformedRecord("entry is malformed or of unknown type")
        term = data[3]
        position = 4
        if term > 127:
            term, position = decode_varint(data, 3)
        if data[position] != 0x18:
            raise MalformedRecord("entry is malformed")
        index, position = decode_varint(data, position + 1)
        # Most payloads have a size of one or two bytes: guess it from what is left, and compare.
        size = len(data) - position - 2
        if size > 127:
            size -= 1
        if 0 < size < 16384 and data[position:-size] == b'"' + SHORT_VARINTS[size]:
            payload = data[-size:]
        else:
            payload = _decode_last_bytes(data, position, 0x22) if position != len(data) else b""
    except (IndexError, ValueError) as error:
        raise MalformedRecord("entry is malformed") from error
    if not term or not index:
        raise MalformedRecord(f"entry has term {term} and index {index}")
    if entry_type != ENTRY_NORMAL and not payload:
        raise MalformedRecord(f"entry {index} changes the configuration, but has no data")
    return Entry(term, index, entry_type, payload)


def decode_hard_state(data: bytes) -> HardState:
    """Return the hard state that `data` is exactly. Raise MalformedRecord."""
    term, vote, commit = _decode_numbers(data, b"\x08\x10\x18", "hard state")
    if not term:
        raise MalformedRecord("hard state has term 0")
    return HardState(term, vote, commit)


def decode_snapshot(data: bytes) -> WalSnapshot:
    """Return the snapshot note that `data` is exactly. Raise MalformedRecord."""
    try:
        index, position = decode_varint(data, 1)
        term, end = decode_varint(data, position + 1)
        if data[0] != 0x08 or data[position] != 0x10:
            raise MalformedRecord("snapshot record is malformed")
        if end == len(data):
            return WalSnapshot(index, term)
        conf_state = raft_pb2.ConfState.FromString(_decode_last_bytes(data, end, 0x1A))
    except (IndexError, ValueError, DecodeError) as error:
        raise MalformedRecord("snapshot record is malformed") from error
    return WalSnapshot(index, term, ConfState.from_pb(conf_state))


def _decode_numbers(data: bytes, tags: bytes, what: str) -> list[int]:
    """Return the numbers of a message that has exactly these varint fields, in this order."""
    numbers: list[int] = []
    position = 0
    try:
        for tag in tags:
            if data[position] != tag:
                raise MalformedRecord(f"{what} is malformed")
            number, position = decode_varint(data, position + 1)
            numbers.append(number)
    except (IndexError, ValueError) as error:
        raise MalformedRecord(f"{what} is malformed") from error
    if position != len(data):
        raise MalformedRecord(f"{what} has unknown fields")
    return numbers


def _decode_last_bytes(data: bytes, position: int, tag: int) -> bytes:
    """Return the value of a bytes field that must be the rest of the message."""
    if data[position] != tag:
        raise MalformedRecord(f"unknown field with tag {data[position]:#04x}")
    size, position = decode_varint(data, position + 1)
    if position + size != len(data):
        raise MalformedRecord(f"bytes field says {size}, {len(data) - position} are left")
    return data[position:]
