"""How many bytes entries take, and how many of them fit a limit.

Rules
  * `limit_size` always lets the first entry through: a limit never stops progress.
  * The exact size is that of the encoded raftpb.Entry. On the hot path an upper bound decides first, because summing
    payload lengths is ten times cheaper than measuring varints.
"""

from __future__ import annotations

from typing import Final

from etcdpy.pb.raft_values import Entry

NO_LIMIT: Final = (1 << 64) - 1

# Entries are measured in pieces, so that taking one message's worth from a long log does not walk all of it.
_PIECE_ENTRIES: Final = 512

# Type 2, term 1 + 10, index 1 + 10, tag and length of data 1 + 5 (payloads stay below 4 GiB).
ENTRY_OVERHEAD_BYTES_MAX: Final = 30


def varint_size(value: int) -> int:
    """Return how many bytes `value` takes as a varint."""
    return (value.bit_length() + 6) // 7 or 1


def entry_size(entry: Entry) -> int:
    """Return the exact length of the encoded entry."""
    size = 2 + 1 + varint_size(entry.term) + 1 + varint_size(entry.index)
    if entry.data:
        size += 1 + varint_size(len(entry.data)) + len(entry.data)
    return size


def payload_size(entries: list[Entry]) -> int:
    """Return the bytes of data in `entries`: what flow control counts."""
    return sum([len(entry.data) for entry in entries])


def size_bound(entries: list[Entry]) -> int:
    """Return a number that the encoded entries do not exceed."""
    return sum([len(entry.data) for entry in entries]) + ENTRY_OVERHEAD_BYTES_MAX * len(entries)


def limit_size(entries: list[Entry], max_size: int) -> list[Entry]:
    """Return the longest prefix of `entries` within `max_size` bytes, at least one entry if there is one."""
    if max_size >= NO_LIMIT or len(entries) <= 1 or size_bound(entries) <= max_size:
        return entries
    size = entry_size(entries[0])
    for position in range(1, len(entries)):
        size += entry_size(entries[position])
        if size > max_size:
            return entries[:position]
    return entries


def take_within(entries: list[Entry], start: int, stop: int, max_size: int) -> list[Entry]:
    """Return entries[start:stop] as far as `max_size` bytes go, at least one."""
    if max_size >= NO_LIMIT or stop - start <= _PIECE_ENTRIES:
        return limit_size(entries[start:stop], max_size)
    taken: list[Entry] = []
    size = 0
    is_exact = False
    while start < stop and size <= max_size:
        piece = entries[start : min(start + _PIECE_ENTRIES, stop)]
        start += _PIECE_ENTRIES
        taken += piece
        if is_exact:
            size += sum([entry_size(entry) for entry in piece])
            continue
        size += size_bound(piece)
        if size > max_size:
            # From here on the difference matters.
            size = sum([entry_size(entry) for entry in taken])
            is_exact = True
    return limit_size(taken, max_size)
