"""A member of `spine` that takes a snapshot every ten entries, with every step of it noted, and hooks at each.

with scene(tmp_path) as play:
    await play.spine.elect()
    await play.put(3)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from etcdpy.base.log import silent_logger
from etcdpy.pb.raft_values import ENTRY_NORMAL, Entry, Snapshot
from etcdpy.pb.rpc_pb2 import PutRequest
from etcdpy.server.snapshots import SnapshotKeeper
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.proposal import InternalEncoder, Proposal
from etcdpy.storage.snap import Snapshotter
from tests.unit.server.spine import Notes, Spine, open_spine, until

SNAPSHOT_COUNT = 10
encode = InternalEncoder().encode


class WatchedSnapshotter(Snapshotter):
    """The real folder; says when a file was saved, and fails on demand."""

    def __init__(self, directory: str, on_step: Callable[[str], None]) -> None:
        super().__init__(directory)
        self.on_step = on_step
        self.failing = False

    def save(self, snapshot: Snapshot) -> None:
        self.on_step("begun")
        if self.failing:
            raise OSError(28, "No space left on device")
        super().save(snapshot)
        self.on_step("saved")


class Scene:
    """A member that takes a snapshot every ten entries, with every step of it noted."""

    def __init__(self, spine: Spine, *, catchup_entries: int = 3, max_wals: int = 5, max_snapshots: int = 5) -> None:
        self.spine = spine
        self.steps: list[str] = []
        self.on_step: Callable[[str], None] = lambda step: None
        self.notes = Notes(spine=spine)
        self.failures: list[BaseException] = []
        self.snapshotter = WatchedSnapshotter(str(spine.folders.snap), self.note)
        self.keeper = SnapshotKeeper(
            snapshot_count=SNAPSHOT_COUNT,
            catchup_entries=catchup_entries,
            max_wals=max_wals,
            max_snapshots=max_snapshots,
            last_index=spine.recovered.snapshot.index,
            backend=spine.backend,
            v2store=spine.recovered.v2store,
            wal=spine.wal,  # type: ignore[arg-type]
            snapshotter=self.snapshotter,
            member=spine.member,
            raft_storage=spine.raft_storage,
            disk=spine.disk,
            on_failure=self.failures.append,
            log=silent_logger(),
        )
        spine.driver.start(self.notes)

    def note(self, step: str) -> None:
        self.steps.append(step)
        self.on_step(step)

    def consider(self) -> None:
        self.keeper.consider(self.spine.member.applied_index, self.spine.applier.term, self.spine.conf_state)

    async def put(self, count: int) -> None:
        spine = self.spine
        for number in range(count):
            request, request_id = PutRequest(key=b"k%d" % number, value=b"v"), spine.ids.next_id()
            data = encode(kinds.PUT, request_id, request.SerializeToString())
            spine.driver.propose(Entry(0, 0, ENTRY_NORMAL, data, Proposal(kinds.PUT, request_id, request)))
        await spine.wait_quiet()

    async def take_snapshot(self) -> int:
        """Take one of what is applied now; return its index."""
        self.consider()
        index = self.spine.member.applied_index
        await self.finish()
        return index

    async def finish(self) -> None:
        spine = self.spine

        def is_done() -> bool:
            spine.backend.poll(spine.loop.time())
            self.keeper.poll()
            return self.keeper._waiting is None and spine.disk.is_idle

        await until(is_done)

    def snap_indexes(self) -> list[int]:
        return sorted(int(path.stem.split("-")[1], 16) for path in self.spine.folders.snap.glob("*.snap"))


@contextmanager
def scene(directory: Path, *, catchup_entries: int = 3, max_snapshots: int = 5) -> Iterator[Scene]:
    with open_spine(directory) as spine:
        yield Scene(spine, catchup_entries=catchup_entries, max_snapshots=max_snapshots)
