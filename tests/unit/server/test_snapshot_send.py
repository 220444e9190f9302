"""Our state to a follower: file and message of one moment, nothing left behind, and the log kept meanwhile."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from etcdpy.base.log import silent_logger
from etcdpy.pb import rpc_pb2
from etcdpy.pb.raft_values import ENTRY_NORMAL, Entry, Message, Snapshot
from etcdpy.raft.constants import MSG_SNAP
from etcdpy.server.snapshot_send import SENDS_AT_ONCE_MAX, SnapshotSender
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.proposal import decode_entry_data, encode_v2_put
from etcdpy.state.members import Member
from etcdpy.state.members.change import add_change
from etcdpy.state.v2store import V2Store
from etcdpy.storage.bolt.reader import BoltReader
from etcdpy.storage.bolt.takeover import read_consistent_index
from etcdpy.storage.schema import buckets
from tests.unit.server.cluster_scene import Nobody, propose
from tests.unit.server.snapshot_scene import SNAPSHOT_COUNT, Scene, scene
from tests.unit.server.spine import Spine, run, until

FOLLOWER = Member(id=0xF0, peer_urls=("http://127.0.0.1:23499",), is_learner=True)


class HeldCarrier:
    """A network that copies what it is given, and takes as long as the test wants."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.carried: list[tuple[Message, Path, int]] = []
        self.done: list[Callable[[bool], None]] = []

    def send_snapshot(
        self, message: Message, path: str, size_bytes: int, on_done: Callable[[bool], None] | None = None
    ) -> None:
        assert on_done is not None
        copy = self._folder / f"carried-{len(self.carried)}.db"
        shutil.copy(path, copy)
        self.carried.append((message, copy, size_bytes))
        self.done.append(on_done)


class Sending:
    """A leader with a learner, and what it sends."""

    def __init__(self, play: Scene, folder: Path) -> None:
        self.play, self.spine = play, play.spine
        self.carrier = HeldCarrier(folder)
        self.failed: list[int] = []
        self.sender = SnapshotSender(
            backend=play.spine.backend,
            v2store=play.spine.recovered.v2store,
            applier=play.spine.applier,
            member=play.spine.member,
            carrier=self.carrier,
            report_failure=self.failed.append,
            scratch=play.spine.folders.snap,
            log=silent_logger(),
        )
        play.keeper.is_log_needed = lambda: self.sender.in_flight > 0
        self.tasks: list[asyncio.Task[None]] = []

    def begin(self) -> asyncio.Task[None]:
        """What raft asks for: a snapshot as its storage has it, long ago."""
        spine = self.spine
        message = Message(MSG_SNAP, FOLLOWER.id, spine.recovered.member_id, spine.member.term)
        message.snapshot = Snapshot(b"old", 1, 1, spine.conf_state)
        task = asyncio.ensure_future(self.sender.send(message))
        self.tasks.append(task)
        return task

    async def wait_carried(self, count: int) -> None:
        await until(lambda: len(self.carrier.carried) >= count)

    def scratch_files(self) -> list[str]:
        return [path.name for path in self.spine.folders.snap.glob("db.tmp*")]


@asynccontextmanager
async def sending(directory: Path) -> AsyncIterator[Sending]:
    with scene(directory) as play:
        play.spine.driver.connect(Nobody())
        await play.spine.elect()
        await play.put(3)
        play.spine.member.propose_conf_change(add_change(FOLLOWER))
        play.spine.driver.schedule()
        await until(lambda: play.spine.roster.find_member(FOLLOWER.id) is not None)
        scenery = Sending(play, directory)
        try:
            yield scenery
        finally:
            for task in scenery.tasks:
                task.cancel()
            await asyncio.gather(*scenery.tasks, return_exceptions=True)


def attributes_path(spine: Spine) -> str:
    return f"/0/members/{spine.recovered.member_id:x}/attributes"


def put_both(spine: Spine, number: int) -> None:
    """One entry of the v2 store, and one of the database."""
    attributes = Member(id=spine.recovered.member_id, peer_urls=(), name=str(number)).attributes_json()
    data = encode_v2_put(spine.ids.next_id(), attributes_path(spine), attributes)
    spine.driver.propose(Entry(0, 0, ENTRY_NORMAL, data))
    propose(spine, kinds.PUT, rpc_pb2.PutRequest(key=b"number", value=b"%d" % number))


def expected_at(spine: Spine, index: int) -> tuple[str, int]:
    """What the entries up to `index` make: the v2 store's number, and how many revisions the database has."""
    storage = spine.raft_storage
    entries = storage.entries(storage.first_index(), index + 1)
    number, puts = "", 0
    for entry in entries:
        if entry.type == ENTRY_NORMAL and entry.data:
            proposal = decode_entry_data(entry.data)
            if proposal.kind == kinds.V2:
                number = proposal.request.Val.decode()
            elif proposal.kind == kinds.PUT:
                puts += 1
    return number, puts


def test_message_and_file_are_of_one_entry_though_writes_go_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sending(tmp_path) as leader:
            spine = leader.spine
            for number in range(5):
                put_both(spine, number)
            await spine.wait_quiet()
            leader.begin()
            number = 5
            while not leader.carrier.carried:
                put_both(spine, number)
                number += 1
                await asyncio.sleep(0)
            ((message, path, size_bytes),) = leader.carrier.carried
            await spine.wait_quiet()

            snapshot = message.snapshot
            assert snapshot is not None and 1 < snapshot.index < spine.member.applied_index, "writes went on"
            assert (read_consistent_index(path), path.stat().st_size) == (snapshot.index, size_bytes)
            assert snapshot.term == spine.raft_storage.term(snapshot.index)
            assert snapshot.conf_state == spine.conf_state and snapshot.conf_state.learners == [FOLLOWER.id]
            v2store = V2Store()
            v2store.recovery(snapshot.data)
            with BoltReader(path) as reader:
                puts = sum(len(items) for items in reader.iterate(buckets.NAMES[buckets.KEY]))
            found = (v2store.get(attributes_path(spine)).node.value, puts)
            assert found == expected_at(spine, snapshot.index)

    run(scenario())


def test_the_scratch_file_is_there_until_the_follower_has_it_and_not_longer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sending(tmp_path) as leader:
            for count, ok in ((1, True), (2, False)):
                task = leader.begin()
                await leader.wait_carried(count)
                assert (len(leader.scratch_files()), leader.sender.in_flight) == (1, 1)
                leader.carrier.done[-1](ok)
                leader.carrier.done[-1](ok)  # a transport that says it twice harms nobody
                await task
                assert (leader.scratch_files(), leader.sender.in_flight) == ([], 0)
            assert leader.failed == [], "of a transfer the transport itself tells raft"

    run(scenario())


def test_a_stop_at_any_moment_leaves_no_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sending(tmp_path) as leader:
            exporting = leader.begin()
            await until(lambda: leader.scratch_files() != [])
            exporting.cancel()
            await asyncio.gather(exporting, return_exceptions=True)
            assert (leader.scratch_files(), leader.sender.in_flight) == ([], 0)

            carried = leader.begin()
            await leader.wait_carried(1)
            carried.cancel()
            await asyncio.gather(carried, return_exceptions=True)
            assert (leader.scratch_files(), leader.sender.in_flight) == ([], 0)
            leader.carrier.done[0](True)  # it comes too late
            await leader.play.put(1)
            leader.spine.backend.flush()
            assert leader.spine.backend.committed_index == leader.spine.member.applied_index, "commits are free again"

    run(scenario())


def test_what_cannot_be_exported_is_reported_to_raft(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sending(tmp_path) as leader:
            snap = leader.spine.folders.snap
            aside = snap.rename(snap.with_name("aside"))
            await leader.begin()
            assert (leader.failed, leader.sender.in_flight) == ([FOLLOWER.id], 0)
            aside.rename(snap)

            task = leader.begin()
            await until(lambda: leader.scratch_files() != [])
            (name,) = leader.scratch_files()
            (snap / name).unlink()
            (snap / name).mkdir()  # the child process cannot write there
            (snap / name / "in the way").touch()
            await asyncio.gather(task, return_exceptions=True)
            assert leader.failed == [FOLLOWER.id] * 2
            assert leader.carrier.carried == [] and not leader.spine.driver.has_failed

    run(scenario())


def test_so_many_at_once_and_the_others_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sending(tmp_path) as leader:
            for _ in range(SENDS_AT_ONCE_MAX + 1):
                leader.begin()
            await leader.wait_carried(SENDS_AT_ONCE_MAX)
            for _ in range(100):
                await asyncio.sleep(0)
                leader.spine.backend.poll(leader.spine.loop.time())
            assert len(leader.carrier.carried) == len(leader.scratch_files()) == SENDS_AT_ONCE_MAX
            assert leader.sender.in_flight == SENDS_AT_ONCE_MAX + 1

            leader.carrier.done[0](True)
            await leader.wait_carried(SENDS_AT_ONCE_MAX + 1)
            assert len(leader.scratch_files()) == SENDS_AT_ONCE_MAX

    run(scenario())


def test_the_log_is_kept_while_one_is_under_way(tmp_path: Path) -> None:
    """Who gets a snapshot goes on by the entries after it."""

    async def scenario() -> None:
        async with sending(tmp_path) as leader:
            storage = leader.spine.raft_storage
            task = leader.begin()
            await leader.wait_carried(1)
            await leader.play.put(SNAPSHOT_COUNT)
            await leader.play.take_snapshot()
            assert storage.snapshot().index > 1 and storage.first_index() == 1

            leader.carrier.done[0](True)
            await task
            await leader.play.put(SNAPSHOT_COUNT + 1)
            await leader.play.take_snapshot()
            assert storage.first_index() > 1

    run(scenario())
