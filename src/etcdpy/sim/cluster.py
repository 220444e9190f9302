"""A cluster of simulated members, with everything around it: what the nemesis works on and the clients talk to.

Members come and go; a member's disk stays, its process is one of its lives. Who does not run has no entry in
`processes`; who was removed from the cluster never runs again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from etcdpy.pb import raft_pb2, rpc_pb2
from etcdpy.raft.constants import LEADER
from etcdpy.raft.errors import ProposalDropped
from etcdpy.server.founding import Founding
from etcdpy.sim.agreement import Book
from etcdpy.sim.client import Client
from etcdpy.sim.clock import Schedule
from etcdpy.sim.disk import Disk, fresh_disk
from etcdpy.sim.faults import Faults
from etcdpy.sim.machine import CLUSTER_ID
from etcdpy.sim.network import Network
from etcdpy.sim.process import Process, Surroundings
from etcdpy.sim.requests import Operation
from etcdpy.sim.settings import Settings
from etcdpy.sim.trace import Trace
from etcdpy.sim.watch_client import WatchClient
from etcdpy.state.apply.applier import Result
from etcdpy.state.members import Member as RosterMember
from etcdpy.state.members.change import add_change

# How long a client takes to notice that its connection broke, at most.
NOTICE_SECONDS_MAX: Final = 0.2
# From a member to a client that watches. One for all, so that responses keep their order.
WATCH_SECONDS: Final = 0.001


class Cluster:
    """See the top of the file."""

    def __init__(
        self, settings: Settings, rng: random.Random, schedule: Schedule, trace: Trace, faults: Faults
    ) -> None:
        self.settings = settings
        self.rng = rng
        self.schedule = schedule
        self.trace = trace
        self.book = Book()
        self.network = Network(schedule, trace, random.Random(rng.random()), settings, self.find)
        self.operations: list[Operation] = []
        self.clients: list[Client] = []
        self.watchers: list[WatchClient] = []
        self.disks: dict[int, Disk] = {}
        self.processes: dict[int, Process] = {}
        self.removed: set[int] = set()
        self.restart_seconds: tuple[float, ...] = (
            0.05,
            1.0,
        )  # until a member that died by itself runs again, on average: one of these
        self._lives = 0
        self._streams: dict[int, tuple[int, WatchClient]] = {}  # stream -> (member, who watches)
        self._around = Surroundings(
            schedule,
            self.network,
            self.book,
            trace,
            settings,
            faults,
            on_result=self._on_result,
            on_watch=self._on_watch,
            on_exit=self._on_exit,
        )
        self._found()

    # -- members

    def _found(self) -> None:
        """Make the disks of the first members: all begin with the same committed entries."""
        members = tuple([_describe(member) for member in range(1, self.settings.members + 1)])
        for member in members:
            founding = Founding(member_id=member.id, cluster_id=CLUSTER_ID, members=members)
            self.disks[member.id] = fresh_disk(founding.entries(), founding.hard_state())
            self.start(member.id)

    def find(self, member: int) -> Process | None:
        return self.processes.get(member)

    def running(self) -> Iterator[Process]:
        """The processes that neither stand still nor are dead, by id."""
        return (process for _, process in sorted(self.processes.items()) if process.loop.is_running)

    def leader(self) -> Process | None:
        """Return the leader of the newest term among those who run."""
        leaders = [process for process in self.running() if process.node.raft.role == LEADER]
        return max(leaders, key=lambda process: process.member.term, default=None)

    def start(self, member: int) -> None:
        """Let a member live again, if it is dead and may."""
        if member in self.processes or member in self.removed:
            return
        self._lives += 1
        process = Process(self._around, member, self._lives, self.disks[member], random.Random(self.rng.random()))
        self.trace.add(
            member,
            "start",
            f"life {process.life} snapshot {process.start_snapshot.index} log {process.storage.last_index()} "
            f"{process.contents.hard_state} store {process.backend.consistent_index}",
        )
        self.processes[member] = process
        process.start()

    def crash(self, member: int, *, power: bool) -> None:
        process = self.processes.pop(member, None)
        if process is None:
            return
        lost = process.kill(power=power)
        self.trace.add(member, "crash", f"{'power' if power else 'kill'}, {lost} records lost")
        for client in self.clients:
            operation = client.waiting
            if operation is not None and operation.member == member:
                self.schedule.call_later(self.rng.random() * NOTICE_SECONDS_MAX, client.give_up, operation)
        for stream, (host, watcher) in list(self._streams.items()):
            if host == member:
                del self._streams[stream]
                watcher.lose(stream)

    def _on_exit(self, process: Process) -> None:
        """A process ended by itself: removed, or killed in the middle of a write."""
        member = process.member_id
        if self.processes.get(member) is not process:
            return
        if process.is_removed:
            self.removed.add(member)
        self.crash(member, power=self.rng.random() < 0.5)
        if not process.is_removed:
            self.schedule.call_later(
                self.rng.expovariate(1 / self.rng.choice(self.restart_seconds)), self.start, member
            )

    def add_member(self, *, is_learner: bool) -> None:
        """Propose a new member, and let it run."""
        member = max(self.disks) + 1
        if self.propose_change(add_change(_describe(member, is_learner=is_learner))):
            self.disks[member] = Disk()
            self.start(member)

    def propose_change(self, change: raft_pb2.ConfChange) -> bool:
        """Let the leader propose a change of the configuration; return whether there was one to take it."""
        leader = self.leader()
        if leader is None:
            return False
        try:
            leader.member.propose_conf_change(change)
        except ProposalDropped:
            return False
        leader.driver.schedule()
        self.trace.add(leader.member_id, "propose", f"type {change.type} of {change.node_id}")
        return True

    # -- clients

    def ask(self, member: int, operation: Operation) -> bool:
        """Bring an operation to a member; False when nobody is there."""
        process = self.processes.get(member)
        if process is None:
            return False
        process.submit(operation)
        return True

    def choose_member(self, rng: random.Random) -> int:
        return rng.choice(sorted(self.processes) or sorted(self.disks))

    def connect(self, watcher: WatchClient, rng: random.Random) -> Process | None:
        """Give a watching client a member and a stream of its own."""
        processes = list(self.running())
        if not processes:
            return None
        process = rng.choice(processes)
        watcher.stream = self.trace.counts["watch"] + 1
        self._streams[watcher.stream] = (process.member_id, watcher)
        return process

    def _on_result(self, number: int, result: Result) -> None:
        operation = self.operations[number - 1]
        self.clients[operation.client].take_result(operation, result)

    def _on_watch(self, stream: int, response: rpc_pb2.WatchResponse) -> None:
        if stream in self._streams:
            self.schedule.call_later(WATCH_SECONDS, self._streams[stream][1].take, stream, response)


def _describe(member: int, *, is_learner: bool = False) -> RosterMember:
    return RosterMember(id=member, peer_urls=(f"http://member-{member}:2380",), is_learner=is_learner)
