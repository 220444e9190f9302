"""Raft nodes with asynchronous disks and a network that does what a test wants.

A peer's disk and state machine work only when told to. A crash loses everything that the disk has not done: the node
starts again from its storage, its state machine from the last snapshot.
"""

from __future__ import annotations

import pickle
import random
from typing import Any

from etcdpy.pb.raft_values import ENTRY_NORMAL, ConfState, Entry, HardState, Message, Snapshot
from etcdpy.raft.config import Config
from etcdpy.raft.constants import LEADER, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, MSG_SNAP
from etcdpy.raft.errors import ProposalDropped, RaftError
from etcdpy.raft.rawnode import RawNode
from etcdpy.raft.read_only import ReadState
from etcdpy.raft.storage import MemoryStorage

State = dict[int, tuple[int, int, bytes]]  # index -> (term, type, data)


class FreshStorage(MemoryStorage):
    """A log whose snapshot is what the state machine holds now, as etcd sends it.

    An older one might not name the member that needs it: it would be refused, again and again.
    """

    __slots__ = ("peer",)

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self.peer = peer

    def kept_snapshot(self) -> Snapshot:
        return super().snapshot()

    def snapshot(self) -> Snapshot:
        state = self.peer.state
        kept = self.kept_snapshot()
        index = max(state, default=0)
        if index <= kept.index:
            return kept
        return Snapshot(pickle.dumps(state), index, state[index][0], self.peer.conf_state)


class Peer:
    """One member: its node, disk and state machine."""

    def __init__(self, network: Network, member: int, conf_state: ConfState) -> None:
        self.network = network
        self.id = member
        self.storage = FreshStorage(self)
        self.state: State = {}
        if conf_state.voters:
            self.storage.apply_snapshot(Snapshot(pickle.dumps({}), 1, 1, conf_state))
        self.start()

    def start(self) -> None:
        """Begin, or begin again after a crash."""
        settings = self.network.settings
        self.node = RawNode(
            Config(
                self.id,
                election_tick=settings.get("election_tick", 10),
                heartbeat_tick=1,
                storage=self.storage,
                # The log may reach back further than the snapshot, whose configuration is the one to begin with.
                applied=self.storage.kept_snapshot().index,
                rng=self.network.random,
                **{key: value for key, value in settings.items() if key != "election_tick"},
            )
        )
        self.append_work: list[Message] = []
        self.apply_work: list[Message] = []
        self.reads: list[ReadState] = []
        snapshot = self.storage.kept_snapshot()
        self.state = pickle.loads(snapshot.data) if snapshot.data else {}
        self.conf_state = snapshot.conf_state

    @property
    def is_leader(self) -> bool:
        return self.node.basic_status().role == LEADER

    def log(self) -> list[tuple[int, bytes]]:
        """Return (term, data) of every entry that is on disk."""
        first, last = self.storage.first_index(), self.storage.last_index()
        return [(entry.term, entry.data) for entry in self.storage.entries(first, last + 1)] if last >= first else []

    def take_ready(self) -> None:
        while self.node.has_ready():
            ready = self.node.ready()
            self.reads.extend(ready.read_states)
            if ready.snapshot is not None:
                # It holds what these would apply, and raft works with its configuration already.
                self.apply_work.clear()
            for message in ready.messages:
                if message.to == LOCAL_APPEND_THREAD:
                    self.append_work.append(message)
                elif message.to == LOCAL_APPLY_THREAD:
                    self.apply_work.append(message)
                else:
                    self.network.send(message)
        self.node.check_invariants()

    def write(self) -> None:
        """The disk does the oldest write."""
        message = self.append_work.pop(0)
        state = HardState(message.term, message.vote, message.commit)
        if not state.is_empty():
            self.storage.set_hard_state(state)
        if message.snapshot is not None:
            self.storage.apply_snapshot(message.snapshot)
            self.state = pickle.loads(message.snapshot.data)
            self.conf_state = message.snapshot.conf_state
            self.network.snapshots_restored += 1
        self.storage.append(message.entries)
        self._respond(message)

    def apply(self) -> None:
        """The state machine does the oldest batch."""
        message = self.apply_work.pop(0)
        for entry in message.entries:
            self.state[entry.index] = (entry.term, entry.type, entry.data)
            self.network.note_applied(entry)
            if entry.type != ENTRY_NORMAL:
                self.conf_state = self.node.apply_conf_change(entry)
        self._respond(message)

    def _respond(self, message: Message) -> None:
        for response in message.responses:
            if response.to == self.id:
                self.node.step(response)
            else:
                self.network.send(response)
        self.take_ready()

    def compact(self) -> None:
        """Take a snapshot of the state machine and drop the log before it, but for two entries."""
        index = max(self.state, default=0)
        if index > self.storage.kept_snapshot().index and not self.append_work:
            self.storage.create_snapshot(index, self.conf_state, pickle.dumps(self.state))
            if index - 2 >= self.storage.first_index():
                self.storage.compact(index - 2)


class Network:
    """See the top of the file."""

    def __init__(self, voters: int, seed: int = 0, learners: int = 0, **settings: Any) -> None:
        self.random = random.Random(seed)
        self.settings = settings
        self.messages: list[Message] = []
        self.applied: State = {}
        self.snapshots_restored = 0
        self.cut: set[int] = set()  # Members whose messages, to and fro, are lost.
        conf_state = ConfState(list(range(1, voters + 1)), list(range(voters + 1, voters + learners + 1)))
        self.peers = {member: Peer(self, member, conf_state) for member in [*conf_state.voters, *conf_state.learners]}

    def add(self, member: int) -> Peer:
        """Add an empty member; the others learn of it by a conf change."""
        self.peers[member] = Peer(self, member, ConfState())
        return self.peers[member]

    def note_applied(self, entry: Entry) -> None:
        """State machine safety: nobody ever applies anything else at this index (paper, figure 3)."""
        value = (entry.term, entry.type, entry.data)
        assert self.applied.setdefault(entry.index, value) == value, f"index {entry.index} was applied differently"

    def send(self, message: Message) -> None:
        # As over a real wire: the receiver gets objects of its own.
        self.messages.append(Message.from_pb(message.to_pb()))

    def deliver(self, message: Message) -> None:
        if message.to not in self.peers or self.cut & {message.to, message.from_}:
            self.lose(message)
            return
        self._report_snapshot(message, True)
        peer = self.peers[message.to]
        try:
            peer.node.step(message)
        except RaftError:
            pass
        peer.take_ready()

    def lose(self, message: Message) -> None:
        self._report_snapshot(message, False)

    def _report_snapshot(self, message: Message, ok: bool) -> None:
        """A transport tells its own node what became of a snapshot: without that the leader would wait for ever."""
        if message.type == MSG_SNAP:
            sender = self.peers[message.from_]
            sender.node.report_snapshot(message.to, ok)
            sender.take_ready()

    def settle(self) -> None:
        """Let everything happen, in order, until nothing is left."""
        for peer in self.peers.values():
            peer.take_ready()
        while True:
            messages, self.messages = self.messages, []
            for message in messages:
                self.deliver(message)
            busy = bool(messages)
            for peer in self.peers.values():
                while peer.append_work or peer.apply_work:
                    busy = True
                    if peer.append_work:
                        peer.write()
                    if peer.apply_work:
                        peer.apply()
            if not busy and not self.messages:
                return

    def elect(self, member: int) -> Peer:
        self.peers[member].node.campaign()
        self.settle()
        assert self.peers[member].is_leader
        return self.peers[member]

    def propose(self, member: int, data: bytes) -> None:
        self.peers[member].node.propose(data)

    def maybe_propose(self, member: int, entry: Entry) -> bool:
        try:
            self.peers[member].node.propose_entries([entry])
        except ProposalDropped:
            return False
        return True

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            for peer in self.peers.values():
                peer.node.tick()
            self.settle()

    def leaders(self) -> list[int]:
        return [member for member, peer in self.peers.items() if peer.is_leader]
