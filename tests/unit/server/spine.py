"""One member without listeners: real files in a folder of the test's, a real event loop, and a log that can be held up.

async def scenario() -> None:
    with open_spine(tmp_path) as spine:
        await spine.elect()
        ...
run(scenario())
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from etcdpy.base.ids import RequestIdGenerator
from etcdpy.pb.raft_values import ConfState, Entry
from etcdpy.raft.config import Config as RaftConfig
from etcdpy.raft.rawnode import RawNode
from etcdpy.raft.storage import MemoryStorage
from etcdpy.server.bootstrap import Folders, Identity, Recovered, check_backend, prepare_backend, recover
from etcdpy.server.disk import DiskThread
from etcdpy.server.loop import MemberLoop
from etcdpy.server.member import Member
from etcdpy.server.quota import Quota
from etcdpy.server.service import Service
from etcdpy.state.alarm import AlarmStore
from etcdpy.state.apply.applier import Applier, Result
from etcdpy.state.lease.lessor import Lessor
from etcdpy.state.members import Roster
from etcdpy.state.mvcc.store import Store
from etcdpy.storage.backend import Backend
from etcdpy.storage.wal import Wal, WalBatch, WalSnapshot

IDENTITY = Identity(
    name="default",
    initial_advertise_peer_urls=("http://127.0.0.1:23480",),
    initial_cluster_token="etcd-cluster",
)
# Longer than anything takes; a test that waits so long has failed.
PATIENCE_SECONDS = 20.0

Value = TypeVar("Value")


def run(scenario: Coroutine[Any, Any, Value]) -> Value:
    async def bounded() -> Value:
        async with asyncio.timeout(PATIENCE_SECONDS) as limit:
            value = await scenario
        # A cancellation may be taken for something that the scenario waits for.
        assert not limit.expired(), "it ended only because patience did"
        return value

    return uvloop.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until `condition` holds."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + PATIENCE_SECONDS
    while not condition():
        assert loop.time() < give_up, "it never came about"
        await asyncio.sleep(0)


class WatchedWal:
    """A real log that notes who wrote when, can be held up, and fails on demand as a full disk does."""

    def __init__(self, wal: Wal) -> None:
        self.wal = wal
        self.events: list[str] = []
        self.threads: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.failing = False
        self.on_step: Callable[[str], None] = lambda step: None  # after each step, on its thread

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wal, name)

    def persist(self, batch: WalBatch) -> None:
        self._pass_gate()
        self.wal.persist(batch)
        self._note_durable(batch)

    def write(self, batch: WalBatch) -> None:
        self.wal.write(batch)
        self.events.append(f"written {batch.number}")

    def sync(self, batch: WalBatch) -> None:
        self._pass_gate()
        self.wal.sync(batch)
        self._note_durable(batch)

    def release_lock_to(self, index: int) -> None:
        self.wal.release_lock_to(index)
        self.on_step("released")

    def _pass_gate(self) -> None:
        self.threads.append(threading.current_thread().name)
        self.gate.wait(PATIENCE_SECONDS)
        if self.failing:
            raise OSError(28, "No space left on device")

    def _note_durable(self, batch: WalBatch) -> None:
        self.events.append(f"persisted {batch.number}")
        self.on_step("persisted")


@dataclass(slots=True, kw_only=True)
class Notes:
    """A consumer that writes down what the loop tells it."""

    spine: Spine | None = None
    results: list[tuple[int, Result | None]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)  # how many results came at a time
    leaders: list[tuple[int, bool]] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    confirmed: list[tuple[bytes, int]] = field(default_factory=list)
    contexts: list[bytes] = field(default_factory=list)  # read rounds to ask for, in order
    turns: list[int] = field(default_factory=list)  # the applied index at the end of each

    def on_results(self, results: list[tuple[int, Result | None]]) -> None:
        assert self.spine is not None
        self.spine.wal.events.append(f"told {len(results)}")
        self.results += results
        self.batches.append(len(results))

    def close_read_round(self) -> bytes | None:
        return self.contexts.pop(0) if self.contexts else None

    def on_reads_confirmed(self, context: bytes, index: int) -> None:
        self.confirmed.append((context, index))

    def on_turn_end(self, applied_index: int) -> None:
        self.turns.append(applied_index)

    def on_leader_change(self, leader_id: int, *, is_self: bool) -> None:
        self.leaders.append((leader_id, is_self))

    def on_conf_change(self, entry: Entry) -> None:
        assert self.spine is not None
        self.spine.apply_conf_change(entry)

    def on_failure(self, error: BaseException) -> None:
        self.failures.append(error)

    @property
    def values(self) -> list[Result]:
        """What proposers were told; a new leader's empty entry has no proposer."""
        return [result for request_id, result in self.results if request_id and result is not None]


@dataclass(slots=True, kw_only=True)
class Spine:
    loop: asyncio.AbstractEventLoop
    folders: Folders
    recovered: Recovered
    wal: WatchedWal
    backend: Backend
    store: Store
    lessor: Lessor
    alarms: AlarmStore
    roster: Roster
    applier: Applier
    raft_storage: MemoryStorage
    member: Member
    disk: DiskThread
    driver: MemberLoop
    ids: RequestIdGenerator
    conf_state: ConfState

    def make_service(self, *, timeout_seconds: float = 7.0, quota_bytes: int = 0) -> Service:
        return Service(
            loop=self.loop,
            driver=self.driver,
            member=self.member,
            store=self.store,
            quota=Quota(self.backend, quota_bytes),
            alarms=self.alarms,
            request_ids=self.ids,
            member_id=self.recovered.member_id,
            request_bytes_max=1_572_864,
            timeout_seconds=timeout_seconds,
        )

    def apply_conf_change(self, entry: Entry) -> None:
        self.conf_state = self.applier.apply_conf_change(entry, self.member.apply_conf_change).conf_state

    async def elect(self) -> None:
        """Let the member lead, and its term's first entry be applied."""
        self.driver.campaign_when_applied()
        await until(lambda: self.member.is_leader and self.member.applied_index == self.member.last_index)
        await self.wait_quiet()

    async def wait_quiet(self) -> None:
        await until(lambda: self.driver.is_quiet)

    def close(self) -> None:
        self.wal.gate.set()
        self.disk.close()
        self.wal.close()
        self.backend.close()


@contextmanager
def open_spine(
    directory: Path, *, identity: Identity = IDENTITY, stopwatch: Callable[[], float] | None = None
) -> Iterator[Spine]:
    """Recover or make the member of `directory`. Nothing drives it until `driver.start(consumer)`."""
    spine = _open(directory, identity, stopwatch)
    try:
        yield spine
    finally:
        spine.close()


def _open(directory: Path, identity: Identity, stopwatch: Callable[[], float] | None) -> Spine:
    loop = asyncio.get_running_loop()
    folders = Folders(member=directory / "member", wal=directory / "member" / "wal")
    recovered = recover(folders, identity)
    snapshot = recovered.snapshot
    recovered.wal.close()
    wal = WatchedWal(Wal.open(str(folders.wal), WalSnapshot(snapshot.index, snapshot.term))[0])
    recovered.wal = wal  # type: ignore[assignment]
    backend = Backend.open(folders.member)
    check_backend(recovered, backend)
    prepare_backend(backend)
    lessor = Lessor(backend, ttl_seconds_min=2)
    store = Store(backend, lessor)
    store.restore()
    lessor.bind(store)
    alarms = AlarmStore(backend)
    roster = Roster(recovered.v2store, backend, cluster_id=recovered.cluster_id)
    roster.recover()
    applier = Applier(
        store=store, lessor=lessor, alarms=alarms, roster=roster, v2store=recovered.v2store, backend=backend
    )
    raft_storage = MemoryStorage()
    if not snapshot.is_empty():
        raft_storage.apply_snapshot(snapshot)
    raft_storage.set_hard_state(recovered.hard_state)
    raft_storage.append(recovered.entries)
    node = RawNode(
        RaftConfig(
            id=recovered.member_id,
            election_tick=10,
            heartbeat_tick=1,
            storage=raft_storage,
            rng=random.Random(1),
            applied=snapshot.index,
            write_bare_commits=False,
        )
    )
    member = Member(node, raft_storage, recovered.hard_state, applied_index=snapshot.index)
    disk = DiskThread(loop)
    kwargs: dict[str, Any] = {} if stopwatch is None else {"stopwatch": stopwatch}
    driver = MemberLoop(loop=loop, member=member, wal=wal, disk=disk, applier=applier, backend=backend, **kwargs)
    return Spine(
        loop=loop,
        folders=folders,
        recovered=recovered,
        wal=wal,
        backend=backend,
        store=store,
        lessor=lessor,
        alarms=alarms,
        roster=roster,
        applier=applier,
        raft_storage=raft_storage,
        member=member,
        disk=disk,
        driver=driver,
        ids=RequestIdGenerator(recovered.member_id, 1_700_000_000_000),
        conf_state=snapshot.conf_state,
    )
