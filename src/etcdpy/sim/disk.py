"""A member's disk: what survives its processes; and what a process sees of it.

    Disk            log records (a prefix of them synced), `.snap` files, received databases, the database
    VirtualWal      the interface of storage.wal.Wal over the records; the real encoder checks what is written
    DiskQueue       the interface of server.disk.DiskThread: a job happens after a delay, in the order given

Crashes
  * A killed process leaves what it wrote; a power cut also takes what was not synced: any suffix of it.
  * `tear` cuts a job off after some records, in the middle of what it does: the process dies there.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import Entry, HardState, Snapshot
from etcdpy.server.effects import Write
from etcdpy.sim.backend import Database, Tables
from etcdpy.sim.clock import ProcessKilled, ProcessLoop
from etcdpy.sim.faults import Faults
from etcdpy.storage.wal import WalContents, WalSnapshot
from etcdpy.storage.wal.encoder import Encoder
from etcdpy.storage.wal.record import ENTRY, METADATA, SNAPSHOT, STATE, decode_snapshot
from etcdpy.storage.wal.replay import Replay

METADATA_BYTES: Final = b"simulated"
# One segment for ever: cutting segments is tested where they are.
SEGMENT_BYTES: Final = 1 << 40
# Every log begins by noting the snapshot of nothing.
ORIGIN: Final = WalSnapshot().encode()


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the log, as storage.wal.record knows them."""

    kind: int
    data: bytes


@dataclass(slots=True)
class Disk:
    """What one member has, whether it runs or not."""

    records: list[Record] = field(default_factory=lambda: [Record(METADATA, METADATA_BYTES), Record(SNAPSHOT, ORIGIN)])
    synced: int = 2  # Invariant: records before it survive everything.
    snapshots: dict[int, Snapshot] = field(default_factory=dict)  # `.snap` files by index
    received: dict[int, Tables] = field(default_factory=dict)  # `.snap.db` files by index
    database: Database = field(default_factory=Database)

    def lose_power(self, rng: random.Random) -> int:
        """Forget a part of what is not synced; return how many records went."""
        kept = rng.randrange(self.synced, len(self.records) + 1)
        lost = len(self.records) - kept
        del self.records[kept:]
        self.synced = kept
        return lost

    def find_start(self) -> Snapshot:
        """Return the newest snapshot that has its file and is noted in the log as committed, or an empty one."""
        noted: list[WalSnapshot] = []
        commit = 0
        for record in self.records:
            if record.kind == SNAPSHOT:
                noted.append(decode_snapshot(record.data))
            elif record.kind == STATE:
                commit = HardState.decode(record.data).commit
        for note in sorted(noted, key=lambda note: -note.index):
            if note.index <= commit and note.index in self.snapshots:
                return self.snapshots[note.index]
        return Snapshot()

    def replay(self, start: Snapshot) -> WalContents:
        """Return the log after `start`, as the real reader understands it. Raise MalformedRecord."""
        replay = Replay(WalSnapshot(start.index, start.term))
        for record in self.records:
            replay.add(record.kind, record.data)
        return replay.finish()


class Batch:
    """Records that are written together."""

    __slots__ = ("records", "must_sync")

    def __init__(self, records: list[Record], must_sync: bool) -> None:
        self.records = records
        self.must_sync = must_sync


class VirtualWal:
    """See the top of the file."""

    def __init__(self, disk: Disk, contents: WalContents, last_index: int, faults: Faults) -> None:
        self._disk = disk
        self._faults = faults
        self._encoder = Encoder(METADATA_BYTES, segment_bytes=SEGMENT_BYTES)
        self._encoder.hard_state = contents.hard_state
        self._encoder.last_index = last_index
        self.tear: int | None = None  # records that still get to the disk before the process dies
        self.spent_seconds = 0.0  # what writing took: the loop's stopwatch shows it
        self.write_seconds = 0.0  # what the next write takes
        self.synced_count = 0

    def encode(self, entries: list[Entry], hard_state: HardState | None) -> Batch:
        batch = self._encoder.encode(entries, hard_state)
        records = [Record(ENTRY, entry.encode()) for entry in entries]
        if hard_state is not None and not hard_state.is_empty():
            records.append(Record(STATE, hard_state.encode()))
        return Batch(records, batch.must_sync)

    def encode_snapshot(self, snapshot: WalSnapshot) -> Batch:
        self._encoder.encode_snapshot(snapshot)
        return Batch([Record(SNAPSHOT, snapshot.encode())], must_sync=True)

    def encode_install(self, write: Write) -> list[Batch]:
        """Return the records of a received snapshot, in the order of server.snapshot_install."""
        snapshot, state = write.snapshot, write.hard_state
        assert snapshot is not None and state is not None
        batches = [
            self.encode_snapshot(WalSnapshot(snapshot.index, snapshot.term, snapshot.conf_state)),
            self.encode([], HardState(state.term, state.vote, snapshot.index)),
        ]
        batches[-1].must_sync = True
        if write.entries:
            batches.append(self.encode(write.entries, state))
        return batches

    def persist(self, batch: Batch) -> None:
        self.write(batch)
        self.sync(batch)

    def write(self, batch: Batch) -> None:
        for record in batch.records:
            self._survive()
            self._disk.records.append(record)

    def sync(self, batch: Batch) -> None:
        self.spent_seconds += self.write_seconds
        if batch.must_sync and not self._faults.skips_sync:
            self._survive()
            self._disk.synced = len(self._disk.records)
            self.synced_count += 1

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Write a `.snap` file, durably."""
        self._survive()
        self._disk.snapshots[snapshot.index] = snapshot

    def release_lock_to(self, index: int) -> None:
        """Segments are the real log's business."""

    def _survive(self) -> None:
        if self.tear is not None:
            if self.tear <= 0:
                raise ProcessKilled
            self.tear -= 1


class VirtualSnapshotter:
    """What SnapshotKeeper uses of storage.snap.Snapshotter."""

    def __init__(self, wal: VirtualWal) -> None:
        self._wal = wal

    def save(self, snapshot: Snapshot) -> None:
        self._wal.save_snapshot(snapshot)


Job = Callable[[], None]
Done = Callable[[BaseException | None], None]


class DiskQueue:
    """One job after the other, each with its delay."""

    def __init__(self, loop: ProcessLoop, seconds: Callable[[], float], *, is_busy: bool) -> None:
        self._loop = loop
        self._seconds = seconds  # what the next job takes
        self._is_busy = is_busy  # never idle: everything goes through the queue
        self._jobs: list[tuple[Job, Done]] = []

    @property
    def is_idle(self) -> bool:
        return not (self._jobs or self._is_busy)

    def submit(self, job: Job, done: Done) -> None:
        self._jobs.append((job, done))
        if len(self._jobs) == 1:
            self._begin()

    def _begin(self) -> None:
        self._loop.call_later(self._seconds(), self._finish)

    def _finish(self) -> None:
        job, done = self._jobs[0]
        error: BaseException | None = None
        try:
            job()
        except Exception as caught:  # handed to the loop, which decides, as by the real thread
            error = caught
        self._jobs.pop(0)
        if self._jobs:
            self._begin()
        done(error)

    def interrupt(self, wal: VirtualWal, records: int) -> None:
        """The process dies while the first job runs, after `records` more of its steps."""
        if not self._jobs:
            return
        wal.tear = records
        try:
            self._jobs[0][0]()
        except ProcessKilled:
            return
        except Exception as error:
            raise InvariantError(f"a job of the disk failed: {error!r}") from error


def fresh_disk(entries: list[Entry], hard_state: HardState) -> Disk:
    """Return the disk of a founding member: its first entries, committed (as `server.bootstrap` writes them)."""
    disk = Disk()
    disk.records += [Record(ENTRY, entry.encode()) for entry in entries]
    disk.records.append(Record(STATE, hard_state.encode()))
    disk.synced = len(disk.records)
    return disk


def as_any(value: object) -> Any:
    """Return a virtual part where a real one's type is asked for: the one place where this is said."""
    return value
