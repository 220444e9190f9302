"""Damage: whatever happened to the bytes, the reader gives an exact prefix or refuses. Never a wrong entry."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.pb.raft_values import Entry, HardState
from etcdpy.storage.wal.segment import SECTOR_BYTES, Segment
from tests.unit.storage.wal.logs import BuiltLog, build_log, read_bytes

SIXTEEN_KIB = 16 * 1024


def assert_says(data: bytes | bytearray, entries: list[Entry], state: HardState) -> None:
    contents = read_bytes(data).contents
    assert contents.entries == entries
    assert contents.hard_state == state


def is_refused(data: bytes | bytearray) -> bool:
    try:
        read_bytes(data)
    except StorageError:
        return True
    return False


def sixteen_kib_log() -> bytes:
    """A log of exactly 16 KiB: empty, small and long entries with their commits, a snapshot, and zeros at the end."""
    log = build_log([0, 40, 3000, 3000, 0, 10, 2500, 200, 2500, 600, 1300], snapshot_at=5)
    assert SIXTEEN_KIB - 3000 < len(log.data) < SIXTEEN_KIB - 600, len(log.data)
    return bytes(log.data).ljust(SIXTEEN_KIB, b"\0")


def test_every_flipped_bit_of_sixteen_kib_is_refused_or_harmless() -> None:
    """Nothing is torn here, so nothing may be dropped: all entries, or none."""
    good = sixteen_kib_log()
    whole = read_bytes(good).contents
    data = bytearray(good)
    harmless: list[int] = []
    for position in range(len(data)):
        for bit in range(8):
            data[position] ^= 1 << bit
            try:
                contents = read_bytes(data).contents
            except StorageError:
                pass
            else:
                assert contents.entries == whole.entries, (position, bit)
                assert contents.hard_state == whole.hard_state, (position, bit)
                harmless.append(position)
            data[position] ^= 1 << bit
    # In the zeros after the log the last length field of a sector looks like a write that got no further.
    assert all(position % SECTOR_BYTES >= SECTOR_BYTES - 8 for position in harmless)
    assert all(not any(good[position - 8 :]) for position in harmless)


def test_a_flipped_bit_in_a_last_record_that_holds_zero_sectors_is_refused() -> None:
    """A value of zeros looks torn when its checksum is wrong; the checksum itself tells that it is not."""
    log = build_log([20, 30])
    log.add_entry(Entry(3, 3, 0, b"\0" * 1200))
    start = log.points[-2][0]
    data = bytearray(bytes(log.data).ljust(4096, b"\0"))
    for position in range(start, len(log.data)):
        bit = position % 8
        data[position] ^= 1 << bit
        assert is_refused(data), (position, bit)
        data[position] ^= 1 << bit


def test_a_flipped_type_in_the_very_last_record_is_refused() -> None:
    """The checksum does not cover the type: an entry read as a hard state would vanish, acknowledged or not."""
    for make in LAST_RECORDS:
        log = build_log([5, 6])
        make(log)
        type_offset = log.points[-2][0] + 9
        for other in range(256):
            data = bytearray(log.data)
            if data[type_offset] != other:
                data[type_offset] = other
                assert is_refused(data), (make, other)


def _add_last_entry(log: BuiltLog) -> None:
    log.add_entry(Entry(2, 3, 0, b"acknowledged"))


def _add_last_empty_entry(log: BuiltLog) -> None:
    log.add_entry(Entry(2, 3, 0, b""))


def _add_last_commit(log: BuiltLog) -> None:
    log.add_entry(Entry(2, 3, 0, b"x"))
    log.add_state(HardState(2, 1, 3))


LAST_RECORDS: list[Callable[[BuiltLog], None]] = [_add_last_entry, _add_last_empty_entry, _add_last_commit]


@pytest.mark.parametrize("sizes", [[90] * 60, [700, 2000, 1, 0, 900, 3000]], ids=["small", "large"])
def test_a_log_cut_at_every_byte_of_its_last_four_kib_gives_the_exact_prefix(sizes: list[int]) -> None:
    log = build_log(sizes)
    for cut in range(max(len(log.data) - 4096, log.points[0][0]), len(log.data)):
        entries, state, end = log.known_at(cut)
        got = read_bytes(log.data[:cut])
        assert (got.contents.entries, got.contents.hard_state, got.end) == (entries, state, end), cut
        assert got.is_torn == (cut != end and any(log.data[end:cut])), cut


def test_a_log_with_a_zero_tail_from_every_byte_gives_the_exact_prefix_or_is_refused() -> None:
    """Disks lose whole sectors: those tails must be repaired. Others may be refused, but never misread."""
    log = build_log([700, 2000, 1, 0, 900, 1000])
    size = 3 * len(log.data)
    repaired = 0
    for cut in range(max(len(log.data) - 4096, log.points[0][0]), len(log.data)):
        entries, state, end = log.known_at(cut)
        data = bytes(log.data[:cut]).ljust(size, b"\0")
        try:
            got = read_bytes(data)
        except StorageError:
            assert cut % SECTOR_BYTES or cut <= log.points[-2][0], cut
            continue
        if got.end != end:
            # The bytes that were zeroed were zeros before.
            assert not any(log.data[cut : got.end]), cut
            entries, state, end = log.known_at(got.end)
        assert (got.contents.entries, got.contents.hard_state, got.end) == (entries, state, end), cut
        repaired += 1
    assert repaired > 2000


def test_a_zero_sector_is_torn_in_the_last_record_only() -> None:
    log = build_log([100, 5000, 80])
    log.add_entry(Entry(3, 4, 0, b"z" * 5000))
    last = log.points[-2][0]
    data = bytes(log.data).ljust(20_000, b"\0")
    for sector in range(0, len(log.data), SECTOR_BYTES):
        damaged = data[:sector] + bytes(SECTOR_BYTES) + data[sector + SECTOR_BYTES :]
        # The sector with the last record's length is the one of the record before, too.
        if sector > last + 8:
            assert_says(damaged, log.entries[:3], log.state)
        else:
            assert is_refused(damaged), sector


def test_a_torn_record_followed_by_anything_is_refused() -> None:
    log = build_log([100])
    log.add_entry(Entry(1, 2, 0, b"z" * 5000))
    torn = bytearray(log.data)
    hole = -(-len(torn) // SECTOR_BYTES) * SECTOR_BYTES - 2 * SECTOR_BYTES
    torn[hole : hole + SECTOR_BYTES] = bytes(SECTOR_BYTES)
    assert_says(torn, log.entries[:1], log.state)
    log.add_state(HardState(1, 7, 2))
    assert is_refused(torn + log.data[len(torn) :])


def test_anything_but_zeros_after_a_zero_length_is_refused() -> None:
    log = build_log([10, 20])
    assert_says(log.data + bytes(5000), log.entries, log.state)
    for position in (8, 15, 16, 700, 4999):
        tail = bytearray(5000)
        tail[position] = 1
        assert is_refused(log.data + tail), position


@pytest.mark.parametrize("length", [1 << 20, 1 << 31, (1 << 56) - 8, (1 << 56) - 1])
def test_a_length_beyond_the_file_is_refused_without_being_allocated(length: int) -> None:
    log = build_log([100, 100])
    offset = log.points[1][0]
    pad = -length % 8
    field = length | (0x80 | pad) << 56 if pad else length
    data = log.data[:offset] + field.to_bytes(8, "little") + log.data[offset + 8 :]
    with pytest.raises(StorageError, match=f"0.wal is damaged at offset {offset}: unexpected end of file"):
        read_bytes(data)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 15, 20])
def test_a_segment_without_its_head_is_refused(size: int) -> None:
    with pytest.raises(StorageError, match="crc record|metadata"):
        read_bytes(build_log([1]).data[:size])


def test_only_the_last_segment_may_be_torn() -> None:
    data = bytes(build_log([10, 20]).data)
    segment = Segment(data[:-3], "first.wal", chain_crc=None, is_last=False)
    with pytest.raises(StorageError, match="first.wal .* not the last segment"):
        list(segment.records())


def test_a_segment_that_does_not_continue_the_checksum_is_refused() -> None:
    segment = Segment(bytes(build_log([10]).data), "second.wal", chain_crc=1, is_last=True)
    with pytest.raises(StorageError, match="crc mismatch"):
        list(segment.records())


def test_random_rubbish_is_refused() -> None:
    rubbish = random.Random(7)
    log = build_log([50, 60])
    for _ in range(2000):
        data = bytearray(log.data)
        begin = rubbish.randrange(log.points[0][0], len(data))
        data[begin:] = rubbish.randbytes(rubbish.randrange(1, 200))
        entries, state, _ = log.known_at(begin)
        try:
            contents = read_bytes(data).contents
        except StorageError:
            continue
        # A few bytes of rubbish are taken for the begin of a length field that was cut.
        assert (contents.entries, contents.hard_state) == (entries, state)
