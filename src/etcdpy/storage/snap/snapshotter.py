"""The folder of `.snap` files: points of the log, each with what raft and the v2 store need to go on from there.

    member/snap/%016x-%016x.snap    term, index: snappb{crc, data}, data = raftpb.Snapshot, its data the v2 store's JSON
    member/snap/%016x.snap.db       index: the database that came with a leader's snapshot

Rules
  * A `.snap` appears whole and synced, or not at all.
  * One that does not read back (checksum, shape, another point than its name says) is renamed `.broken` and passed
    over.
  * Only a snapshot that the WAL notes may be started from (`wal.valid_snapshot_entries`): the file is written first,
    the note after, so a file without a note is the remains of a crash.

Upstream: server/etcdserver/api/snap.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import google_crc32c
from google.protobuf.message import DecodeError

from etcdpy.base.invariant import InvariantError
from etcdpy.pb import raft_pb2, snap_pb2
from etcdpy.pb.raft_values import Snapshot
from etcdpy.storage.wal import files
from etcdpy.storage.wal.record import WalSnapshot

# A snapshot comes every 100,000 entries.
SAVE_DURATIONS_MAX: Final = 256

SNAP_SUFFIX: Final = ".snap"
SNAP_DB_SUFFIX: Final = ".snap.db"

_SNAP_NAME: Final = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.snap")
_SNAP_DB_NAME: Final = re.compile(r"([0-9a-f]{16})\.snap\.db")
# What an interrupted step leaves: our own unfinished `.snap`, etcd's unfinished defragmentation and received database.
_ORPHAN_NAME: Final = re.compile(r".*\.snap\.tmp|db\.tmp.*|tmp\d+")

_log = logging.getLogger(__name__)


class BrokenSnapshot(Exception):
    """The file is no snapshot, or not the one that its name says."""


class Snapshotter:
    """The `.snap` files of one folder. Every call may wait for the disk."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        # Seconds that encoding, and writing with its sync, took, of each snapshot saved; for who takes them.
        self.save_durations: deque[tuple[float, float]] = deque(maxlen=SAVE_DURATIONS_MAX)

    def save(self, snapshot: Snapshot) -> None:
        """Make the snapshot durable. It counts only once the WAL notes it. Raise StorageError."""
        if snapshot.is_empty():
            raise InvariantError("snap: an empty snapshot is not stored")
        path = os.path.join(self.directory, snap_file_name(term=snapshot.term, index=snapshot.index))
        began = time.perf_counter()
        content = encode_snapshot_file(snapshot)
        encoded = time.perf_counter()
        files.write_atomically(path, content)
        self.save_durations.append((encoded - began, time.perf_counter() - encoded))

    def load_newest_available(self, wal_snapshots: Sequence[WalSnapshot]) -> Snapshot | None:
        """Return the newest readable snapshot among those that the WAL notes, or None."""
        noted = {(snapshot.term, snapshot.index) for snapshot in wal_snapshots}
        for name in self.list_names():
            if parse_snap_name(name) in noted:
                snapshot = self._load(name)
                if snapshot is not None:
                    return snapshot
        return None

    def load_newest(self) -> Snapshot | None:
        """Return the newest readable snapshot, noted or not: for tools, not for a member's start."""
        for name in self.list_names():
            snapshot = self._load(name)
            if snapshot is not None:
                return snapshot
        return None

    def list_names(self) -> list[str]:
        """Return the names of the `.snap` files, newest first."""
        return sorted((name for name in self._list() if _SNAP_NAME.fullmatch(name)), reverse=True)

    def purge(self, keep_max: int) -> list[str]:
        """Remove the oldest `.snap` and `.snap.db` files while there are more than `keep_max` of each."""
        if keep_max < 1:
            raise InvariantError(f"snap: {keep_max} snapshots to keep")
        return [
            *files.purge_files(self.directory, SNAP_DB_SUFFIX, keep_max),
            *files.purge_files(self.directory, SNAP_SUFFIX, keep_max),
        ]

    def db_file_path(self, index: int) -> str:
        """Return where the database that comes with the snapshot at `index` is kept until it is taken over."""
        return os.path.join(self.directory, snap_db_file_name(index))

    def release_snap_dbs(self, index: int) -> list[str]:
        """Remove received databases older than the snapshot at `index`: nobody will take them over any more."""
        removed: list[str] = []
        for name in self._list():
            db_index = parse_snap_db_name(name)
            if db_index is not None and db_index < index and self._remove(name):
                removed.append(name)
        return removed

    def remove_orphans(self) -> list[str]:
        """Remove what unfinished steps of an earlier run left behind; return the names. Only at a member's start."""
        return [name for name in self._list() if _ORPHAN_NAME.fullmatch(name) and self._remove(name)]

    def _list(self) -> list[str]:
        with files.storage_errors(f"snap: cannot list {self.directory}"):
            return sorted(os.listdir(self.directory))

    def _remove(self, name: str) -> bool:
        return files.remove_if_exists(os.path.join(self.directory, name))

    def _load(self, name: str) -> Snapshot | None:
        """Return the snapshot of the file, or None after having put a broken one aside."""
        path = os.path.join(self.directory, name)
        with files.storage_errors(f"snap: cannot read {path}"), open(path, "rb") as file:
            data = file.read()
        try:
            snapshot = decode_snapshot_file(data)
            if (snapshot.term, snapshot.index) != parse_snap_name(name):
                raise BrokenSnapshot(f"it holds the snapshot of term {snapshot.term} and index {snapshot.index}")
        except BrokenSnapshot as fault:
            with files.storage_errors(f"snap: cannot rename {path}"):
                os.rename(path, path + ".broken")
            _log.warning("renamed broken snapshot file %s to %s.broken: %s", path, path, fault)
            return None
        return snapshot


def encode_snapshot_file(snapshot: Snapshot) -> bytes:
    """Return the content of a `.snap` file."""
    data = snapshot.to_pb().SerializeToString()
    return snap_pb2.Snapshot(crc=google_crc32c.value(data), data=data).SerializeToString()


def decode_snapshot_file(content: bytes) -> Snapshot:
    """Return the snapshot that a `.snap` file holds. Raise BrokenSnapshot."""
    try:
        wrapper = snap_pb2.Snapshot.FromString(content)
        # etcd never writes an empty one; zero bytes would be a valid message with a valid checksum.
        if not wrapper.data or not wrapper.crc:
            raise BrokenSnapshot("it is empty")
        crc = google_crc32c.value(wrapper.data)
        if crc != wrapper.crc:
            raise BrokenSnapshot(f"crc mismatch: {wrapper.crc:08x} is stored, {crc:08x} computed")
        if snap_pb2.Snapshot(crc=crc, data=wrapper.data).SerializeToString() != content:
            raise BrokenSnapshot("it has other fields than a snapshot")
        return Snapshot.from_pb(raft_pb2.Snapshot.FromString(wrapper.data))
    except DecodeError as error:
        raise BrokenSnapshot("it is no snapshot") from error


def snap_file_name(*, term: int, index: int) -> str:
    return f"{term:016x}-{index:016x}{SNAP_SUFFIX}"


def snap_db_file_name(index: int) -> str:
    return f"{index:016x}{SNAP_DB_SUFFIX}"


def parse_snap_name(name: str) -> tuple[int, int] | None:
    """Return (term, index)."""
    match = _SNAP_NAME.fullmatch(name)
    return (int(match[1], 16), int(match[2], 16)) if match else None


def parse_snap_db_name(name: str) -> int | None:
    match = _SNAP_DB_NAME.fullmatch(name)
    return int(match[1], 16) if match else None
