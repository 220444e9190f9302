"""The write-ahead log: what raft decided, on disk before anybody is told.

    encode (loop's thread)  ->  WalBatch  ->  persist (disk thread, or inline while that idles)  ->  durable
                                          ->  write ... sync: the same in two steps, with the disk at work in between

Rules
  * One writer: batches are persisted one at a time, in the order of their encoding.
  * A batch with entries, or a new term or vote, is durable when `persist` returns: one write, one fdatasync. A mere
    commit is written and not synced; raft finds it again by itself.
  * After any failure of a write or sync the log refuses further use for ever. What the page cache then holds is
    unknown, so nothing is retried: the member stops, and a restart reads what the disk really has.
  * Segments are created whole: preallocated as `0.tmp` or `1.tmp`, given their head, synced, renamed, and the
    directory synced. A log is created in `<directory>.tmp` and renamed.
  * Segments from the one that holds the oldest needed entry on are locked; `purge` removes unlocked ones only.

Threads: `encode` and `encode_snapshot` belong to the loop's thread, `persist`, `release_lock_to`, `purge` and `close`
to the disk's. They share nothing but the batches and the failure.

Upstream: server/wal.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from typing import Final

from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.pb.raft_values import Entry, HardState
from etcdpy.storage.wal import files, reader
from etcdpy.storage.wal.encoder import Cut, Encoder, WalBatch
from etcdpy.storage.wal.names import SegmentName, list_segments, select_segments
from etcdpy.storage.wal.record import WalSnapshot
from etcdpy.storage.wal.replay import WalContents

# etcd's size. Decimal: 64 MB, not MiB.
SEGMENT_BYTES: Final = 64_000_000
# Durations kept for metrics between two drains; older ones are dropped if nobody drains.
FSYNC_DURATIONS_MAX: Final = 4096


class OpenSegment:
    """A segment that we hold: its descriptor carries the lock."""

    __slots__ = ("name", "fd")

    def __init__(self, name: SegmentName, fd: int) -> None:
        self.name = name
        self.fd = fd


class Wal:
    """An open log at its end. Made by `create` and `open`."""

    def __init__(
        self,
        directory: str,
        segments: list[OpenSegment],
        encoder: Encoder,
        *,
        segment_bytes: int,
        is_synced: bool,
        clock: Callable[[], float],
    ) -> None:
        self.directory = directory
        self.fsync_count = 0
        self.written_bytes = 0
        self._write_durations: list[float] = []  # seconds, oldest first; see take_write_durations
        self.fsync_durations: list[float] = []  # seconds, oldest first; see take_fsync_durations
        self._segments = segments  # Invariant: sequences without holes; the last one is written to
        self._encoder = encoder
        self._segment_bytes = segment_bytes
        self._is_synced = is_synced
        self._clock = clock
        self._persisted_number = encoder.number
        self._next_fd: int | None = None  # the preallocated next segment
        self._next_path = ""
        self._failure: StorageError | None = None

    @classmethod
    def create(
        cls,
        directory: str,
        metadata: bytes,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        unsafe_no_fsync: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> Wal:
        """Create a log whose only content is `metadata`. After a crash there is the whole log, or none."""
        if list_segments(directory):
            raise StorageError(f"wal: {directory} holds a log already")
        directory = os.path.abspath(directory)
        encoder = Encoder(metadata, segment_bytes=segment_bytes)
        head = encoder.encode_segment_head()
        snapshot = encoder.encode_snapshot(WalSnapshot()).data
        encoder.offset = len(head) + len(snapshot)
        name = SegmentName(0, 0)
        fd = _create_directory(directory, name, head + snapshot, segment_bytes)
        return cls(
            directory,
            [OpenSegment(name, fd)],
            encoder,
            segment_bytes=segment_bytes,
            is_synced=not unsafe_no_fsync,
            clock=clock,
        )

    @classmethod
    def open(
        cls,
        directory: str,
        start: WalSnapshot,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        unsafe_no_fsync: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> tuple[Wal, WalContents]:
        """Lock the log, read what comes after `start`, repair a torn tail, and be ready to append."""
        directory = os.path.abspath(directory)
        segments = _lock_segments(directory, select_segments(directory, list_segments(directory), start.index))
        try:
            opened = [reader.OpenFile(_path(directory, s.name), s.name.sequence, s.fd) for s in segments]
            log = reader.read_log(start, opened)
            if log.is_torn:
                reader.repair(opened[-1].path, opened[-1].fd, log.end)
            for leftover in ("0.tmp", "1.tmp"):
                files.remove_if_exists(os.path.join(directory, leftover))
        except BaseException:
            _close_segments(segments)
            raise
        encoder = Encoder(log.contents.metadata, segment_bytes=segment_bytes)
        encoder.sequence = segments[-1].name.sequence
        encoder.offset = log.end
        encoder.crc = log.crc
        encoder.hard_state = log.contents.hard_state
        encoder.last_index = log.last_saved_index
        wal = cls(
            directory,
            segments,
            encoder,
            segment_bytes=segment_bytes,
            is_synced=not unsafe_no_fsync,
            clock=clock,
        )
        # A killed process may have written what it had no time to sync. From here on others are told that we have it,
        # perhaps without a further write: it must not go with the power.
        try:
            with files.storage_errors(f"wal: cannot sync {directory}"):
                wal._sync(segments[-1].fd)
        except BaseException:
            _close_segments(segments)
            raise
        return wal, log.contents

    @property
    def metadata(self) -> bytes:
        return self._encoder.metadata

    def encode(self, entries: list[Entry], hard_state: HardState | None) -> WalBatch:
        """Return the batch that stores `entries` and `hard_state`. It must be persisted before any later one."""
        if self._failure is not None:
            raise self._failure
        return self._encoder.encode(entries, hard_state)

    def encode_snapshot(self, snapshot: WalSnapshot) -> WalBatch:
        """Return the batch that notes a snapshot, which must be durable itself by now."""
        if self._failure is not None:
            raise self._failure
        return self._encoder.encode_snapshot(snapshot)

    def persist(self, batch: WalBatch) -> None:
        """Write the batch, and sync it where it must be. Raise StorageError, for ever after, if the disk fails."""
        self._take_number(batch)
        try:
            self._write(batch)
            self._sync_batch(batch)
        except BaseException as error:
            self._fail(error)
            raise

    def write(self, batch: WalBatch) -> None:
        """Write the batch and have the disk begin with it. It is not durable before `sync`, which must come next."""
        self._take_number(batch)
        try:
            self._write(batch)
            if batch.must_sync and batch.cut is None and self._is_synced:
                files.start_writing(self._segments[-1].fd, batch.offset, len(batch.data))
        except BaseException as error:
            self._fail(error)
            raise

    def sync(self, batch: WalBatch) -> None:
        """Make durable what was written last. Raise StorageError, for ever after, if the disk fails."""
        if self._failure is not None:
            raise self._failure
        try:
            self._sync_batch(batch)
        except BaseException as error:
            self._fail(error)
            raise

    def release_lock_to(self, index: int) -> None:
        """Let go of the segments that hold nothing at or after `index`. The newest segment is always kept."""
        segments = self._segments
        kept = 0
        while kept + 1 < len(segments) and segments[kept + 1].name.first_index < index:
            kept += 1
        _close_segments(segments[:kept])
        del segments[:kept]

    def purge(self, keep_max: int) -> list[str]:
        """Remove the oldest released segments while there are more than `keep_max`; return their names."""
        return files.purge_files(self.directory, ".wal", keep_max)

    def take_fsync_durations(self) -> list[float]:
        """Return how long each sync since the last call took, in seconds."""
        durations, self.fsync_durations = self.fsync_durations, []
        return durations

    def take_write_durations(self) -> list[float]:
        """Return how long each write since the last call took, without its sync, in seconds."""
        durations, self._write_durations = self._write_durations, []
        return durations

    def close(self) -> None:
        """Sync, and let go of everything. A failed log is closed without a sync."""
        if not self._segments:
            return
        try:
            if self._failure is None:
                with files.storage_errors(f"wal: cannot sync {self.directory}"):
                    self._sync(self._segments[-1].fd)
        finally:
            if self._next_fd is not None:
                os.close(self._next_fd)
                self._next_fd = None
                files.remove_if_exists(self._next_path)
            _close_segments(self._segments)
            self._segments = []
            self._failure = self._failure or StorageError("wal: closed")

    def _take_number(self, batch: WalBatch) -> None:
        if self._failure is not None:
            raise self._failure
        if batch.number != self._persisted_number + 1:
            raise InvariantError(f"wal: batch {batch.number} persisted after batch {self._persisted_number}")
        self._persisted_number = batch.number

    def _fail(self, error: BaseException) -> None:
        """Note that the disk failed, or something interrupted us; raise the first kind as StorageError."""
        if isinstance(error, (OSError, StorageError)):
            self._failure = StorageError(f"wal: cannot write {self.directory}: {error}")
            raise self._failure from error
        self._failure = StorageError(f"wal: writing {self.directory} was interrupted by {error!r}")

    def _write(self, batch: WalBatch) -> None:
        fd = self._segments[-1].fd
        if batch.data:
            began = self._clock()
            try:
                files.write_whole(fd, batch.data, batch.offset)
            except OSError:
                _take_back(fd, batch.offset)
                raise
            self.written_bytes += len(batch.data)
            _note(self._write_durations, self._clock() - began)

    def _sync_batch(self, batch: WalBatch) -> None:
        fd = self._segments[-1].fd
        if batch.cut is not None:
            self._cut(batch.cut)
        elif batch.must_sync:
            self._sync(fd)
            if self._next_fd is None and batch.offset > self._segment_bytes // 2:
                self._prepare_next()

    def _sync(self, fd: int) -> None:
        if not self._is_synced:
            return
        began = self._clock()
        os.fdatasync(fd)
        _note(self.fsync_durations, self._clock() - began)
        self.fsync_count += 1

    def _prepare_next(self) -> None:
        """Create and preallocate the file that the next segment will be, so that the cut itself is short."""
        path = os.path.join(self.directory, f"{(self._segments[-1].name.sequence + 1) % 2}.tmp")
        fd = files.open_locked(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self._next_fd, self._next_path = fd, path
        files.preallocate(fd, self._segment_bytes)

    def _cut(self, cut: Cut) -> None:
        """End the current segment and begin the next."""
        tail_fd = self._segments[-1].fd
        os.ftruncate(tail_fd, cut.end)
        self._sync(tail_fd)
        if self._next_fd is None:
            self._prepare_next()
        fd = self._next_fd
        assert fd is not None
        files.write_whole(fd, cut.head, 0)
        self._sync(fd)
        os.rename(self._next_path, _path(self.directory, cut.name))
        self._next_fd = None
        self._segments.append(OpenSegment(cut.name, fd))
        if self._is_synced:
            files.sync_directory(self.directory)


def _note(durations: list[float], seconds: float) -> None:
    """Keep a duration; where nobody takes them the older half goes."""
    if len(durations) >= FSYNC_DURATIONS_MAX:
        del durations[: FSYNC_DURATIONS_MAX // 2]
    durations.append(seconds)


def _take_back(fd: int, offset: int) -> None:
    """Cut off what came of a batch that did not fit: within a sector a restart could not tell it from damage.

    Nobody was told of the batch. If even this fails, the restart judges what it finds.
    """
    with contextlib.suppress(OSError):
        os.ftruncate(fd, offset)
        os.fsync(fd)


def _path(directory: str, name: SegmentName) -> str:
    return os.path.join(directory, name.file_name())


def _create_directory(directory: str, name: SegmentName, head: bytes, segment_bytes: int) -> int:
    """Put a log of one segment in place in one step; return the segment's locked descriptor."""
    temporary = directory + ".tmp"
    with files.storage_errors(f"wal: cannot create {directory}"):
        if os.path.exists(temporary):
            shutil.rmtree(temporary)
        files.make_directory(temporary)
        fd = files.open_locked(_path(temporary, name), os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            files.preallocate(fd, segment_bytes)
            files.write_whole(fd, head, 0)
            os.fsync(fd)
            files.sync_directory(temporary)
            # An empty directory in the way is replaced; one with anything in it is refused by the system.
            os.rename(temporary, directory)
            files.sync_directory(os.path.dirname(directory))
        except BaseException:
            os.close(fd)
            raise
    return fd


def _lock_segments(directory: str, names: list[SegmentName]) -> list[OpenSegment]:
    segments: list[OpenSegment] = []
    try:
        for name in names:
            segments.append(OpenSegment(name, files.open_locked(_path(directory, name), os.O_RDWR)))
    except BaseException:
        _close_segments(segments)
        raise
    return segments


def _close_segments(segments: list[OpenSegment]) -> None:
    for segment in segments:
        os.close(segment.fd)
