"""Names of segments: `%016x-%016x.wal`, a sequence number and the first log index that the segment may hold.

    0000000000000000-0000000000000000.wal
    0000000000000001-00000000000186a1.wal      sequence 1, the log went to 0x186a0 when it was begun

Sequences of a directory have no holes. Indexes mostly grow, but a segment begun just after a new leader replaced the
tail of the log may bear a smaller one than its predecessor. Other names in the directory (`0.tmp`, `*.wal.broken`) are
nobody's segment.

Upstream: server/wal/util.go.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from etcdpy.base.invariant import StorageError

_NAME = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.wal")


class SegmentName(NamedTuple):
    """Which segment, and the first log index that it may hold. Sorts by age."""

    sequence: int
    first_index: int

    def file_name(self) -> str:
        return f"{self.sequence:016x}-{self.first_index:016x}.wal"


def parse_segment_name(file_name: str) -> SegmentName | None:
    match = _NAME.fullmatch(file_name)
    return SegmentName(int(match[1], 16), int(match[2], 16)) if match else None


def list_segments(directory: str) -> list[SegmentName]:
    """Return the segments of `directory`, oldest first; none if there is no such directory."""
    try:
        file_names = os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"wal: cannot list {directory}: {error}") from error
    return sorted(name for name in map(parse_segment_name, file_names) if name is not None)


def select_segments(directory: str, names: list[SegmentName], index: int) -> list[SegmentName]:
    """Return the segments that hold what comes after `index`: the last one begun at or below it, and all later ones.

    The log ended before `index` when that one was begun: what comes after `index` was written later.
    """
    chosen = [position for position, name in enumerate(names) if name.first_index <= index]
    if not chosen:
        raise StorageError(f"wal: file not found: no segment of {directory} reaches back to index {index}")
    selected = names[chosen[-1] :]
    check_sequence(directory, selected)
    return selected


def check_sequence(directory: str, names: list[SegmentName]) -> None:
    """Raise StorageError where a segment is missing."""
    for earlier, later in zip(names, names[1:], strict=False):
        if later.sequence != earlier.sequence + 1:
            raise StorageError(
                f"wal: file not found: {directory} has nothing between {earlier.file_name()} and {later.file_name()}"
            )
