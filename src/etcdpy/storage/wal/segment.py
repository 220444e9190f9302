"""Reading one segment: its records as far as they are good, and a verdict about where they end.

    crc | metadata | (snapshot{} | hard state) | entries, hard states, snapshots ... | zeros

Three ends are possible:
  * clean: a zero length, and nothing but zeros to the end of the file;
  * torn: the last record of the last segment is what a crash leaves of an unfinished write. Either the file ends
    inside it, or one of its 512-byte sectors is all zeros and nothing follows it. What is left of it must agree with
    its length, so that a damaged length field cannot make a "torn record" of many good ones. Nobody was told of such
    a record (it was not synced), so the log may go on without it;
  * anything else is damage: StorageError with file and offset. A shorter log would be a lie about acknowledged writes.

Nothing is allocated by a length that was read: it is first compared with the bytes that are there.

Upstream: server/wal/decoder.go, which takes a wrong checksum with any zero stretch for torn.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import google_crc32c

from etcdpy.base.invariant import StorageError
from etcdpy.base.varint import decode_varint
from etcdpy.storage.wal.record import (
    CRC,
    DATA_TYPES,
    FRAME_HEAD_BYTES,
    LENGTH_MASK,
    LOW_VARINTS,
    METADATA,
    PAD_TOP_BYTE,
    PADDING,
    SHORT_VARINTS,
    TYPE_NAMES,
)

# What a disk writes wholly or not at all.
SECTOR_BYTES: Final = 512
_ZERO_CHUNK: Final = bytes(1 << 20)

# The polynomial of CRC32C, lowest power first.
_CASTAGNOLI: Final = 0x82F63B78

_LENGTH: Final = struct.Struct("<Q")
_MALFORMED: Final = (0, 0, None)
# Two tags of one byte, the type, two numbers of at most ten bytes, and one more tag.
_RECORD_HEAD_BYTES_MAX: Final = 24


class Segment:
    """The records of one segment file, read once, in order.

    `chain_crc` is the running checksum at the end of the segment before, None where this is the first one read.
    After `records()` is exhausted `end` is the offset after the last good record, `crc` the running checksum there, and
    `is_torn` says whether the last segment must be repaired.
    """

    __slots__ = ("data", "name", "crc", "end", "is_last", "is_torn", "_chain_crc")

    def __init__(self, data: bytes, name: str, *, chain_crc: int | None, is_last: bool) -> None:
        self.data = data
        self.name = name
        self.is_last = is_last
        self.crc = 0
        self.end = 0
        self.is_torn = False
        self._chain_crc = chain_crc

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Yield (type, data) of every record but the crc at the head."""
        data = self.data
        size = len(data)
        unpack = _LENGTH.unpack_from
        extend = google_crc32c.extend
        position = self._read_head()
        crc = self.crc
        while True:
            self.end = position
            if position + FRAME_HEAD_BYTES > size:
                break
            length = unpack(data, position)[0]
            flags = length >> 56
            length &= LENGTH_MASK
            start = position + FRAME_HEAD_BYTES
            end = start + length
            position = end + 7 & ~7
            if not length or position > size or flags != PAD_TOP_BYTE[length & 7]:
                break
            # Nearly every record has a checksum of five bytes and a size of one or two: say what its head must then be,
            # and compare. Whatever is not that goes the long way.
            payload_size = length - 10 if length <= 137 else length - 11
            if 0 < payload_size < 16384:
                payload = data[end - payload_size : end]
                next_crc = extend(crc, payload)
                if (
                    data[start + 1] in DATA_TYPES
                    and data[start : end - payload_size]
                    == b"\x08%c\x10%b%b%b\x1a%b"
                    % (
                        data[start + 1],
                        LOW_VARINTS[next_crc & 16383],
                        LOW_VARINTS[next_crc >> 14 & 16383],
                        SHORT_VARINTS[next_crc >> 28],
                        SHORT_VARINTS[payload_size],
                    )
                    and data[end:position] == PADDING[length & 7]
                ):
                    self.crc = crc = next_crc
                    yield data[start + 1], payload
                    continue
            record_crc, record_type, slow_payload = self._split(start, length)
            if slow_payload is None:
                break
            next_crc = extend(crc, slow_payload)
            if next_crc != record_crc:
                break
            self.crc = crc = next_crc
            yield record_type, slow_payload
        self._judge_end()

    def _read_head(self) -> int:
        """Read the crc record, which says with what the checksum goes on; return the offset after it."""
        record_crc, record_type, payload, frame_end = self._frame_at(0)
        if record_type != CRC or payload is not None:
            raise self.error(0, "it does not begin with a crc record")
        if self._chain_crc is not None and record_crc != self._chain_crc:
            raise self.error(
                0, f"crc mismatch: it continues {record_crc:08x}, the one before ends with {self._chain_crc:08x}"
            )
        self.crc = record_crc
        if self._frame_at(frame_end)[1] != METADATA:
            raise self.error(frame_end, "there is no metadata record at its head")
        return frame_end

    def _frame_at(self, position: int) -> tuple[int, int, bytes | None, int]:
        """Return (crc, type, data, offset after it) of the frame at `position`; type 0 where there is no whole one."""
        nothing = (0, 0, None, position)
        if position + FRAME_HEAD_BYTES > len(self.data):
            return nothing
        field = _LENGTH.unpack_from(self.data, position)[0]
        length = field & LENGTH_MASK
        start = position + FRAME_HEAD_BYTES
        frame_end = start + length + 7 & ~7
        if not length or frame_end > len(self.data) or field >> 56 != PAD_TOP_BYTE[length & 7]:
            return nothing
        record_crc, record_type, payload = self._split(start, length)
        return record_crc, record_type, payload, frame_end

    def _split(self, start: int, length: int) -> tuple[int, int, bytes | None]:
        """Return (crc, type, data) of a record; type 0 where it is not of the only shape that etcd writes.

        Only crc records have no data.
        """
        data = self.data
        end = start + length
        try:
            record_type = data[start + 1]
            if data[start] != 0x08 or data[start + 2] != 0x10 or record_type not in TYPE_NAMES:
                return _MALFORMED
            record_crc, position = decode_varint(data, start + 3)
            if length & 7 and any(data[end : end + 7 & ~7]):
                return _MALFORMED
            if record_type == CRC:
                return (record_crc, CRC, None) if position == end else _MALFORMED
            if data[position] != 0x1A:
                return _MALFORMED
            size, position = decode_varint(data, position + 1)
        except (IndexError, ValueError):
            return _MALFORMED
        if position + size != end:
            return _MALFORMED
        return record_crc, record_type, data[position:end]

    def _judge_end(self) -> None:
        """Decide what stopped the reading at `self.end`: a clean end, a torn record, or damage (raised)."""
        data, position = self.data, self.end
        head = data[position : position + FRAME_HEAD_BYTES]
        if not any(head):
            if _has_bytes(data, position, len(data)):
                raise self.error(position, "a zero length is followed by other things than zeros")
            return
        reason = self._find_fault(position)
        if not self.is_last:
            raise self.error(position, reason + ", and it is not the last segment")
        if not self._is_torn_record(position):
            raise self.error(position, reason)
        self.is_torn = True

    def _find_fault(self, position: int) -> str:
        data = self.data
        if position + FRAME_HEAD_BYTES > len(data):
            return "the file ends in a length field"
        field = _LENGTH.unpack_from(data, position)[0]
        length = field & LENGTH_MASK
        start = position + FRAME_HEAD_BYTES
        if start + length > len(data):
            return f"unexpected end of file: the record has {length} bytes, {len(data) - start} are left"
        if field >> 56 != PAD_TOP_BYTE[length & 7]:
            return f"malformed length field {field:016x}"
        record_crc, record_type, payload = self._split(start, length)
        if payload is None:
            return "malformed record"
        crc = google_crc32c.extend(self.crc, payload)
        return f"crc mismatch in a record ({TYPE_NAMES[record_type]}): {record_crc:08x} is stored, {crc:08x} computed"

    def _is_torn_record(self, position: int) -> bool:
        """Return whether the frame at `position`, which is not good, is the unfinished last write before a crash."""
        data = self.data
        size = len(data)
        if position + FRAME_HEAD_BYTES > size:
            return True
        field = _LENGTH.unpack_from(data, position)[0]
        length = field & LENGTH_MASK
        if field >> 56 != PAD_TOP_BYTE[length & 7]:
            return False
        start = position + FRAME_HEAD_BYTES
        frame_end = start + length + 7 & ~7
        if frame_end > size:
            return _agrees(data[start:size], length)
        hole = _find_zero_sector(data, start, frame_end)
        # Padding is written as zeros, and a lost sector reads as zeros.
        if hole is None or _has_bytes(data, start + length, size) or not _agrees(data[start:hole], length):
            return False
        # A record may hold a sector of zeros by its nature. If one flipped bit explains the checksum, it was whole.
        record_crc, _, payload = self._split(start, length)
        return payload is None or not _is_one_flip(google_crc32c.extend(self.crc, payload) ^ record_crc, len(payload))

    def error(self, position: int, reason: str) -> StorageError:
        return StorageError(f"wal: {self.name} is damaged at offset {position}: {reason}")


def _find_zero_sector(data: bytes, start: int, end: int) -> int | None:
    """Return where the first all-zero sector that overlaps [start, end) begins; sectors count from the file's begin."""
    first = -(-start // SECTOR_BYTES) * SECTOR_BYTES
    for sector in range(first, end, SECTOR_BYTES):
        if not any(data[sector : sector + SECTOR_BYTES]):
            return sector
    return None


def _agrees(visible: bytes, length: int) -> bool:
    """Return whether these first bytes of a record can belong to one of `length` bytes.

    Length stands twice in a frame: in its head, and as the size of the data inside. A record that seems to reach past
    the end because a bit of its length flipped is told from a torn one by this.
    """
    try:
        if visible[0] != 0x08 or visible[1] not in TYPE_NAMES or visible[2] != 0x10:
            return False
        _, position = decode_varint(visible, 3)
        if position == length:
            return True
        if visible[position] != 0x1A:
            return False
        size, position = decode_varint(visible, position + 1)
    except IndexError:
        return True
    except ValueError:
        # Either the number is cut off, which is well, or it has more than ten bytes, which is not.
        return len(visible) < _RECORD_HEAD_BYTES_MAX
    return position + size == length


def _is_one_flip(difference: int, size: int) -> bool:
    """Return whether one bit, of `size` bytes of data or of the checksum itself, explains this difference of checksums.

    A checksum is linear: what a flipped bit changes depends on its distance from the end alone.
    """
    if not difference & difference - 1:
        return True
    effect = _CASTAGNOLI
    for _ in range(8 * size):
        if effect == difference:
            return True
        effect = effect >> 1 ^ (_CASTAGNOLI if effect & 1 else 0)
    return False


def _has_bytes(data: bytes, start: int, end: int) -> bool:
    """Return whether anything but zeros stands in [start, end), without copying a whole tail of 64 MB."""
    for position in range(start, end, len(_ZERO_CHUNK)):
        chunk = data[position : min(position + len(_ZERO_CHUNK), end)]
        if chunk != _ZERO_CHUNK[: len(chunk)]:
            return True
    return False
