"""Reading a log of several segments: for a member that starts, and for the search of its newest snapshot.

A torn tail is put right by `repair`: the file is kept as `<name>.broken`, cut to its last good record, and synced.

Upstream: WAL.ReadAll, ValidSnapshotEntries and Repair in server/wal.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from etcdpy.base.invariant import StorageError
from etcdpy.storage.wal import files
from etcdpy.storage.wal.names import SegmentName, check_sequence, list_segments, select_segments
from etcdpy.storage.wal.record import (
    SNAPSHOT,
    STATE,
    MalformedRecord,
    WalSnapshot,
    decode_hard_state,
    decode_snapshot,
)
from etcdpy.storage.wal.replay import Replay, WalContents
from etcdpy.storage.wal.segment import Segment

_log = logging.getLogger(__name__)


class SegmentBytes(NamedTuple):
    """One segment as the reader gets it."""

    name: str
    sequence: int
    data: bytes


class OpenFile(NamedTuple):
    """One segment that the caller holds open."""

    path: str
    sequence: int
    fd: int


class Log(NamedTuple):
    """A log that was read to its end: what it says, and where and with what it goes on."""

    contents: WalContents
    end: int  # offset in the last segment after the last good record
    crc: int
    last_saved_index: int
    is_torn: bool


def read_log(start: WalSnapshot, segments: list[OpenFile]) -> Log:
    """Read files that the caller holds open and locked."""
    loaded = (SegmentBytes(path, sequence, files.read_whole(fd, path)) for path, sequence, fd in segments)
    return replay_segments(start, loaded, len(segments))


def replay_segments(start: WalSnapshot, segments: Iterable[SegmentBytes], count: int) -> Log:
    """Return what the `count` segments say together. Raise StorageError where they are damaged; change nothing."""
    replay = Replay(start)
    add = replay.add
    chain_crc: int | None = None
    segment: Segment | None = None
    for number, (name, sequence, data) in enumerate(segments, 1):
        # The very first checksum of a log starts from zero, whatever the disk says.
        known_crc = 0 if not sequence else chain_crc
        segment = Segment(data, name, chain_crc=known_crc, is_last=number == count)
        try:
            for record_type, payload in segment.records():
                add(record_type, payload)
        except MalformedRecord as fault:
            raise segment.error(segment.end, str(fault)) from fault
        chain_crc = segment.crc
    if segment is None:
        raise StorageError("wal: file not found: there is no segment")
    try:
        contents = replay.finish()
    except MalformedRecord as fault:
        raise segment.error(segment.end, str(fault)) from fault
    return Log(contents, segment.end, segment.crc, replay.last_saved_index, segment.is_torn)


def read_contents(directory: str, start: WalSnapshot) -> WalContents:
    """Return what a log says after `start` without locking or repairing anything: for tools and tests."""
    names = select_segments(directory, list_segments(directory), start.index)
    return replay_segments(start, _load(directory, names), len(names)).contents


def valid_snapshot_entries(directory: str) -> list[WalSnapshot]:
    """Return the snapshots that the log of `directory` notes and that are committed, oldest first.

    Only a `.snap` file named by one of them may be started from: any other is the remains of an unfinished step.
    """
    names = list_segments(directory)
    check_sequence(directory, names)
    snapshots: list[WalSnapshot] = []
    commit = 0
    chain_crc: int | None = None
    for number, (path, sequence, data) in enumerate(_load(directory, names), 1):
        known_crc = 0 if not sequence else chain_crc
        segment = Segment(data, path, chain_crc=known_crc, is_last=number == len(names))
        try:
            for record_type, payload in segment.records():
                if record_type == SNAPSHOT:
                    snapshots.append(decode_snapshot(payload))
                elif record_type == STATE:
                    commit = decode_hard_state(payload).commit
        except MalformedRecord as fault:
            raise segment.error(segment.end, str(fault)) from fault
        chain_crc = segment.crc
    return [snapshot for snapshot in snapshots if snapshot.index <= commit]


def repair(path: str, fd: int, end: int) -> None:
    """Cut the torn tail off: the file stays as `.broken`, what is good of it is synced."""
    broken = path + ".broken"
    files.write_atomically(broken, files.read_whole(fd, path))
    with files.storage_errors(f"wal: cannot repair {path}"):
        os.ftruncate(fd, end)
        os.fsync(fd)
    _log.warning("repaired WAL file: %s was cut at offset %d; the original is kept as %s", path, end, broken)


def _load(directory: str, names: list[SegmentName]) -> Iterator[SegmentBytes]:
    """Yield the segments one after the other, so that only one is in memory."""
    for name in names:
        path = os.path.join(directory, name.file_name())
        with files.storage_errors(f"wal: cannot open {path}"):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield SegmentBytes(path, name.sequence, files.read_whole(fd, path))
        finally:
            os.close(fd)
