"""One life of one member: the production classes, put together over a virtual loop, disk and network.

    disk -> replay -> RawNode, Member, MemberLoop, Service      storage and time are virtual, all else is real
                      Store, Lessor, Roster, Applier, WatchHub

It is to the simulator what embed.node is to the server, and takes the housekeeper's place: what follows from applied
entries, and what time brings. Its checks run after every turn.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import Final

from etcdpy.base.errors import EtcdError
from etcdpy.base.ids import RequestIdGenerator
from etcdpy.base.invariant import InvariantError
from etcdpy.pb import rpc_pb2
from etcdpy.pb.raft_values import Entry, Message, Snapshot
from etcdpy.raft.config import Config
from etcdpy.raft.rawnode import RawNode
from etcdpy.raft.storage import MemoryStorage
from etcdpy.server.bootstrap import commit_applied
from etcdpy.server.effects import Write
from etcdpy.server.loop import MemberLoop
from etcdpy.server.member import Member
from etcdpy.server.quota import Quota
from etcdpy.server.service import Service
from etcdpy.server.snapshots import SnapshotKeeper
from etcdpy.sim.agreement import Book
from etcdpy.sim.backend import Database, Tables, VirtualBackend
from etcdpy.sim.clock import ProcessLoop, Schedule
from etcdpy.sim.disk import Disk, DiskQueue, VirtualSnapshotter, VirtualWal, as_any
from etcdpy.sim.faults import Faults
from etcdpy.sim.machine import TracedMachine
from etcdpy.sim.network import Network
from etcdpy.sim.requests import Operation, Put, Range, to_proposal
from etcdpy.sim.settings import ELECTION_TICKS, TICK_SECONDS, Settings
from etcdpy.sim.trace import Trace
from etcdpy.state.apply.applier import Result
from etcdpy.state.members.change import REMOVED
from etcdpy.state.mvcc.answer import Answer
from etcdpy.state.mvcc.txn_plan import TxnPlan
from etcdpy.state.mvcc.validate import check_txn_request
from etcdpy.state.watch.response import Fanout

# What a client may wait for before the server itself gives up; etcd's is 5 s and two election timeouts.
REQUEST_TIMEOUT_SECONDS: Final = 3.0
REQUEST_BYTES_MAX: Final = 1 << 20
TXN_OPS_MAX: Final = 128
COMPACTION_BATCH: Final = 3
COMPACTION_PAUSE_SECONDS: Final = 0.02
# Wall time of all members when a run begins; any would do.
WALL_MS: Final = 1_700_000_000_000

# Nobody reads what members log here: the trace says more.
SILENT_LOG: Final = logging.Logger("simulator", logging.CRITICAL + 1)

Deliver = Callable[[int, Result], None]
DeliverWatch = Callable[[int, rpc_pb2.WatchResponse], None]


class Surroundings:
    """What every process of a run shares."""

    __slots__ = ("schedule", "network", "book", "trace", "settings", "faults", "on_result", "on_watch", "on_exit")

    def __init__(
        self,
        schedule: Schedule,
        network: Network,
        book: Book,
        trace: Trace,
        settings: Settings,
        faults: Faults,
        *,
        on_result: Deliver,
        on_watch: DeliverWatch,
        on_exit: Callable[[Process], None],
    ) -> None:
        self.schedule = schedule
        self.network = network
        self.book = book
        self.trace = trace
        self.settings = settings
        self.faults = faults
        self.on_result = on_result  # (number of the operation, what its client is told)
        self.on_watch = on_watch  # (global number of the stream, one response)
        self.on_exit = on_exit  # the process has ended by itself


class TracingIds(RequestIdGenerator):
    """The real generator; it remembers its last id."""

    __slots__ = ("last",)

    def next_id(self) -> int:
        self.last = super().next_id()
        return self.last


class Process:
    """See the top of the file. `life` tells the lives of a member apart."""

    def __init__(self, around: Surroundings, member_id: int, life: int, disk: Disk, rng: random.Random) -> None:
        self.member_id = member_id
        self.life = life
        self.disk = disk
        self._around = around
        self._rng = rng
        self.is_removed = False
        self.sync_factor = 1.0  # above 1: the disk is slow
        self._streams: dict[int, int] = {}  # the hub's number of a stream -> the clients'
        self._hub_streams: dict[int, int] = {}
        skew = around.settings.clock_skew
        self.loop = ProcessLoop(
            around.schedule, rate=1.0 + skew * (2 * rng.random() - 1), on_killed=lambda: around.on_exit(self)
        )
        self._recover()
        self._build_member()
        self._build_service()
        self._is_syncing_watches = False
        self._is_compacting = False

    # -- the beginning

    def _recover(self) -> None:
        disk, faults, settings = self.disk, self._around.faults, self._around.settings
        self.start_snapshot = disk.find_start()
        self.contents = disk.replay(self.start_snapshot)
        if not faults.trusts_unsynced_log:
            disk.synced = len(disk.records)  # the log is synced before anything is said on its word
        self.backend = VirtualBackend(
            disk.database,
            interval_seconds=settings.commit_interval_seconds,
            commit_seconds=settings.commit_seconds,
        )
        if self.start_snapshot.index > self.backend.consistent_index:
            # A crash came between the snapshot's record and its database taking the old one's place.
            self._adopt(self.start_snapshot)
        self._check_backend()
        self.machine = TracedMachine(
            self._around.book, self.member_id, self.backend, self.start_snapshot, random.Random(self._rng.random())
        )
        if faults.forgets_index:
            self.machine.forget_index(self.start_snapshot.index)

    def _check_backend(self) -> None:
        """As server.bootstrap.check_backend: log and backend are of one member."""
        last = self.start_snapshot.index + len(self.contents.entries)
        if not self.start_snapshot.index <= self.backend.consistent_index <= last:
            raise InvariantError(
                f"{self.member_id}: the store has applied index {self.backend.consistent_index}, "
                f"the log is of ({self.start_snapshot.index}, {last}]"
            )

    def _adopt(self, snapshot: Snapshot) -> None:
        self.disk.database = Database([table.copy() for table in self.disk.received[snapshot.index]])
        self.backend.adopt(self.disk.database)

    def _build_member(self) -> None:
        settings, contents, start = self._around.settings, self.contents, self.start_snapshot
        hard_state = commit_applied(contents.hard_state, self.backend.consistent_index)
        if self._around.faults.forgets_vote:
            hard_state.vote = 0
        self.storage = MemoryStorage()
        if not start.is_empty():
            self.storage.apply_snapshot(start)
        self.storage.set_hard_state(hard_state)
        self.storage.append(contents.entries)
        self.node = RawNode(
            Config(
                id=self.member_id,
                election_tick=ELECTION_TICKS,
                heartbeat_tick=1,
                storage=self.storage,
                rng=random.Random(self._rng.random()),
                applied=start.index,
                max_size_per_message=settings.entries_per_message_bytes,
                max_committed_size_per_ready=1 << 20,
                max_inflight_messages=settings.inflight_messages,
                pre_vote=settings.pre_vote,
                check_quorum=settings.check_quorum,
            )
        )
        self.member = Member(self.node, self.storage, hard_state, applied_index=start.index)

    def _build_service(self) -> None:
        around, settings = self._around, self._around.settings
        last_index = self.start_snapshot.index + len(self.contents.entries)
        self.wal = VirtualWal(self.disk, self.contents, last_index, around.faults)
        self.disk_queue = DiskQueue(self.loop, self._sync_seconds, is_busy=settings.is_disk_busy)
        self.driver = MemberLoop(
            loop=as_any(self.loop),
            member=self.member,
            wal=as_any(self.wal),
            disk=as_any(self.disk_queue),
            applier=as_any(self.machine),
            backend=as_any(self.backend),
            stopwatch=self._stopwatch,
        )
        self.driver.connect(self)
        self.ids = TracingIds(self.member_id, WALL_MS + int(around.schedule.now * 1000))
        self.service = Service(
            loop=as_any(self.loop),
            driver=self.driver,
            member=self.member,
            store=self.machine.store,
            quota=Quota(as_any(self.backend), -1),
            alarms=self.machine.alarms,
            request_ids=self.ids,
            member_id=self.member_id,
            request_bytes_max=REQUEST_BYTES_MAX,
            timeout_seconds=REQUEST_TIMEOUT_SECONDS,
        )
        self.service.observer = self
        self.service.deliver = self._deliver
        self.snapshots = SnapshotKeeper(
            snapshot_count=settings.snapshot_count,
            catchup_entries=settings.catchup_entries,
            max_wals=0,
            max_snapshots=0,
            last_index=self.start_snapshot.index,
            backend=as_any(self.backend),
            v2store=self.machine.v2store,
            wal=as_any(self.wal),
            snapshotter=as_any(VirtualSnapshotter(self.wal)),
            member=self.member,
            raft_storage=self.storage,
            disk=as_any(self.disk_queue),
            on_failure=self.driver.fail,
            log=SILENT_LOG,
        )

    def start(self) -> None:
        self.driver.start(self.service)
        self.loop.call_later(TICK_SECONDS * self._rng.random(), self._tick)

    # -- time

    def _tick(self) -> None:
        self.loop.call_later(TICK_SECONDS, self._tick)
        now = self.loop.time()
        self.driver.guard(self.driver.tick)
        self.service.expire(now)
        self.machine.hub.tick(now)
        self._sync_watches()

    def _sync_seconds(self) -> float:
        return self._around.settings.sync_seconds * self.sync_factor * (0.5 + self._rng.random())

    def _stopwatch(self) -> float:
        """What the loop's own writes take, as it would measure it."""
        self.wal.write_seconds = self._sync_seconds() if self.sync_factor > 1 else 0.0
        return self.wal.spent_seconds

    # -- clients

    def submit(self, operation: Operation) -> None:
        """Take a client's request; the answer goes to `on_result` with its number."""
        self.loop.enter(self.driver.guard, lambda: self._submit(operation))

    def _submit(self, operation: Operation) -> None:
        kind, message = to_proposal(operation.request)
        number = operation.number
        if isinstance(operation.request, Range):
            self.service.submit_range(number, message)
            return
        body = message.SerializeToString()
        request: object = message
        if isinstance(message, rpc_pb2.TxnRequest):
            plan: TxnPlan = check_txn_request(message, TXN_OPS_MAX)
            request = plan
        self.ids.last = 0
        self.service.submit(number, kind, request, body)
        if self.ids.last:
            self._around.book.authors[self.ids.last] = number
        if self._around.faults.acknowledges_early and isinstance(operation.request, Put):
            self._around.on_result(number, Answer(self.machine.store.current_revision + 1, b""))

    def _deliver(self, answers: Sequence[tuple[int, Result]]) -> None:
        for number, result in answers:
            self._around.on_result(number, result)

    def watch(self, stream: int, key: bytes, end: bytes, start_revision: int) -> None:
        """Open a stream with one watch on it; responses go to `on_watch` with its number."""
        self.loop.enter(self.driver.guard, lambda: self._watch(stream, key, end, start_revision))

    def _watch(self, stream: int, key: bytes, end: bytes, start_revision: int) -> None:
        hub = self.machine.hub
        hub_stream = hub.open_stream()
        self._streams[hub_stream] = stream
        self._hub_streams[stream] = hub_stream
        hub.create(
            hub_stream,
            rpc_pb2.WatchCreateRequest(key=key, range_end=end, start_revision=start_revision, progress_notify=True),
        )
        self._feed_watches()

    def close_watch(self, stream: int) -> None:
        self.loop.enter(self.driver.guard, lambda: self._close_watch(stream))

    def _close_watch(self, stream: int) -> None:
        hub_stream = self._hub_streams.pop(stream, None)
        if hub_stream is not None:
            del self._streams[hub_stream]
            self.machine.hub.close_stream(hub_stream)

    def hold_watch(self, stream: int, seconds: float) -> None:
        """The client of a stream takes nothing for a while."""
        hub_stream = self._hub_streams.get(stream)
        if hub_stream is not None and self.loop.is_running:
            self.machine.hub.block(hub_stream)
            self.loop.call_later(seconds, self._unblock, stream, hub_stream)

    def _unblock(self, stream: int, hub_stream: int) -> None:
        if self._hub_streams.get(stream) == hub_stream:
            self.machine.hub.unblock(hub_stream)
            self._feed_watches()

    def _feed_watches(self) -> None:
        hub = self.machine.hub
        for hub_stream, items in hub.take_output():
            for item in items:
                for data in item.messages() if isinstance(item, Fanout) else (item,):
                    if hub_stream in self._streams:
                        response = rpc_pb2.WatchResponse.FromString(data)
                        self._around.on_watch(self._streams[hub_stream], response)
        if hub.has_work and not self._is_syncing_watches:
            self._is_syncing_watches = True
            self.loop.call_later(TICK_SECONDS * self._rng.random(), self._sync_watches_step)

    def _sync_watches_step(self) -> None:
        self._is_syncing_watches = False
        self._sync_watches()

    def _sync_watches(self) -> None:
        hub = self.machine.hub
        if hub.has_work:
            hub.sync_step()
        self._feed_watches()

    # -- what the service tells (server.service.Observer)

    def on_applied(self, results: list[tuple[int, Result | None]]) -> None:
        if self.machine.store.is_compacting and not self._is_compacting:
            self._is_compacting = True
            self.loop.call_later(COMPACTION_PAUSE_SECONDS, self._compact_step)

    def _compact_step(self) -> None:
        self._is_compacting = not self.machine.store.compact_step(COMPACTION_BATCH)
        if self._is_compacting:
            self.loop.call_later(COMPACTION_PAUSE_SECONDS * (1 + self._rng.random()), self._compact_step)

    def before_answers(self) -> None:
        """Here watches have answers of their own, see _feed_watches."""

    def on_turn_end(self, applied_index: int) -> None:
        changes = self.machine.store.take_changes()
        if changes:
            self.machine.hub.notify(changes)
        self._feed_watches()
        self.snapshots.consider(applied_index, self.machine.term, self.member.conf_state)
        self.snapshots.poll()
        self._check()
        if self.is_removed:
            self._around.on_exit(self)

    def _check(self) -> None:
        self.node.check_invariants()
        if self.member.is_leader:
            self._around.book.note_leader(self.node.raft)

    def on_leader_change(self, leader_id: int, *, is_self: bool) -> None:
        self.machine.hub.raft_term = self.member.term
        self._around.trace.add(self.member_id, "leader", f"{leader_id} in term {self.member.term}")

    def on_conf_change(self, entry: Entry) -> None:
        change = self.machine.apply_conf_change(entry, self.member.apply_conf_change)
        state = change.conf_state
        self._around.trace.add(
            self.member_id, "conf", f"{change.kind} {change.member_id}: {state.voters} learn {state.learners}"
        )
        if change.kind == REMOVED and change.member_id == self.member_id:
            self.is_removed = True

    def on_failure(self, error: BaseException) -> None:
        raise FailedMember(f"member {self.member_id} failed: {type(error).__name__}: {error}") from error

    # -- the others (server.loop.Others)

    def receive(self, message: Message, tables: Tables | None) -> None:
        self.loop.enter(self._receive, message, tables)

    def _receive(self, message: Message, tables: Tables | None) -> None:
        if tables is not None and message.snapshot is not None:
            self.disk.received[message.snapshot.index] = tables  # durable before raft hears of it
        self.driver.receive(message)

    def report_unreachable(self, member_id: int) -> None:
        self.loop.enter(self.driver.report_unreachable, member_id)

    def report_snapshot(self, member_id: int, ok: bool) -> None:
        self.loop.enter(self.driver.report_snapshot, member_id, ok)

    def send(self, messages: list[Message]) -> None:
        for message in messages:
            self._around.book.note_message(message)
        self._around.network.send(messages)

    def send_snapshot(self, message: Message) -> None:
        """Send what is applied at this moment, as server.snapshot_send does."""
        index = self.machine.consistent_index
        if index != self.member.applied_index:
            raise InvariantError(
                f"a snapshot of the store at {index} and the configuration at {self.member.applied_index}"
            )
        snapshot = Snapshot(self.machine.v2store.save(), index, self.machine.term, self.member.conf_state)
        self._around.network.send_snapshot(message, snapshot, self.backend.database.copy_tables())

    def install(self, write: Write, done: Callable[[], None]) -> None:
        """Make the snapshot of `write` our state: first its file, then the log, then the database."""
        snapshot = write.snapshot
        assert snapshot is not None
        self._around.trace.add(self.member_id, "install", f"snapshot {snapshot.term}/{snapshot.index}")
        batches = self.wal.encode_install(write)

        def persist() -> None:
            self.wal.save_snapshot(snapshot)
            for batch in batches:
                self.wal.persist(batch)

        def finish(error: BaseException | None) -> None:
            if error is not None:
                raise FailedMember(f"member {self.member_id}: {error!r}") from error
            self._adopt(snapshot)
            self.machine.restore(snapshot)
            self.snapshots.restored(snapshot.index)
            done()

        self.disk_queue.submit(persist, finish)

    # -- the end

    def kill(self, *, power: bool) -> int:
        """End this life; `power`: what is not synced is lost. Return how many records went."""
        self.loop.kill()
        if self.wal.tear != 0 and self._rng.random() < 0.5:  # 0: it died in that very job
            self.disk_queue.interrupt(self.wal, self._rng.randrange(4))
        if self.backend.is_committing and self._rng.random() < 0.5:
            self.backend.finish_commit()
        self.disk.database.roll_back()
        return self.disk.lose_power(self._rng) if power else 0


class FailedMember(Exception):
    """A member has stopped by itself: in a simulated world that is never the world's fault."""


def is_sure(error: EtcdError) -> bool:
    """Return whether `error` says for certain that nothing was done."""
    return type(error).__name__ not in ("Timeout", "Stopped")
