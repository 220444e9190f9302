"""A cluster of raft nodes without clock, network or disk: everything waits until a scenario lets it happen.

Messages that were sent lie in one list, in the order of sending, until they are delivered or dropped. The state machine
of each node appends the data of every entry it applies; its history of snapshots is what the leader can send.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import (
    ENTRY_CONF_CHANGE,
    ENTRY_NORMAL,
    ConfState,
    Entry,
    HardState,
    Message,
    Snapshot,
)
from etcdpy.raft.config import Config
from etcdpy.raft.constants import LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, LOCAL_THREADS, MSG_SNAP
from etcdpy.raft.describe import describe_message, describe_ready
from etcdpy.raft.errors import RaftError
from etcdpy.raft.rawnode import RawNode
from etcdpy.raft.sizes import NO_LIMIT
from etcdpy.raft.storage import MemoryStorage
from tools.scenario.output import Output
from tools.scenario.script import ScriptError

# Nodes of scenarios time out after three ticks unless told otherwise, and beat with each.
ELECTION_TICK = 3
HEARTBEAT_TICK = 1


class NoChance:
    """The random numbers of a scenario: election timeouts are set by command where they matter."""

    def randrange(self, stop: int) -> int:
        return stop - 1


class HistoryStorage(MemoryStorage):
    """A log whose snapshot is always what the state machine has applied last."""

    __slots__ = ("history",)

    def __init__(self) -> None:
        super().__init__()
        self.history: list[Snapshot] = []

    def snapshot(self) -> Snapshot:
        return self.history[-1] if self.history else super().snapshot()


@dataclass(slots=True)
class Node:
    config: Config
    storage: HistoryStorage
    raw: RawNode
    append_work: list[Message] = field(default_factory=list)
    apply_work: list[Message] = field(default_factory=list)

    @property
    def id(self) -> int:
        return self.config.id


def default_config(output: Output) -> Config:
    """Return the settings that add-nodes starts from."""
    return Config(
        id=1,
        election_tick=ELECTION_TICK,
        heartbeat_tick=HEARTBEAT_TICK,
        storage=MemoryStorage(),
        rng=NoChance(),
        logger=output,
        async_storage_writes=False,
        max_size_per_message=NO_LIMIT,
        max_inflight_messages=(1 << 31) - 1,
        check_quorum=False,
        pre_vote=False,
    )


class Cluster:
    def __init__(self, output: Output) -> None:
        self.output = output
        self.nodes: list[Node] = []
        self.messages: list[Message] = []

    def node(self, member: int) -> Node:
        if not 1 <= member <= len(self.nodes):
            raise ScriptError(f"there is no node {member}")
        return self.nodes[member - 1]

    def check_invariants(self) -> None:
        for node in self.nodes:
            node.raw.check_invariants()
            node.storage.check_invariants()

    # Nodes

    def add_node(self, template: Config, snapshot: Snapshot) -> None:
        storage = HistoryStorage()
        if snapshot.conf_state != ConfState() or snapshot.index or snapshot.data:
            if snapshot.index <= 1:
                raise ScriptError("index must be specified as > 1 due to bootstrap")
            snapshot.term = 1
            storage.apply_snapshot(snapshot)
        storage.history.append(snapshot)
        config = replace(template, id=len(self.nodes) + 1, storage=storage)
        self.nodes.append(Node(config, storage, RawNode(config)))

    # Ready

    def process_ready(self, node: Node) -> None:
        ready = node.raw.ready()
        self.output.write(describe_ready(ready))
        is_async = node.config.async_storage_writes
        if not is_async:
            self._append(node, ready.hard_state, ready.entries, ready.snapshot)
            self._apply(node, ready.committed_entries)
        for message in ready.messages:
            if message.to == LOCAL_APPEND_THREAD:
                node.append_work.append(message)
            elif message.to == LOCAL_APPLY_THREAD:
                node.apply_work.append(message)
            else:
                self.messages.append(message)
        if not is_async:
            node.raw.advance()

    def process_append_thread(self, node: Node) -> None:
        if not node.append_work:
            self.output.write("no append work to perform")
            return
        message = node.append_work.pop(0)
        responses = self._begin_work(message)
        state = HardState(message.term, message.vote, message.commit)
        self._append(node, state, message.entries, message.snapshot)
        self._finish_work(responses)

    def process_apply_thread(self, node: Node) -> None:
        if not node.apply_work:
            self.output.write("no apply work to perform")
            return
        message = node.apply_work.pop(0)
        responses = self._begin_work(message)
        self._apply(node, message.entries)
        self._finish_work(responses)

    def _begin_work(self, message: Message) -> list[Message]:
        responses, message.responses = message.responses, []
        self.output.write("Processing:\n" + describe_message(message) + "\n")
        return responses

    def _finish_work(self, responses: list[Message]) -> None:
        self.output.write("Responses:\n" + "".join(describe_message(response) + "\n" for response in responses))
        self.messages.extend(responses)

    def _append(self, node: Node, state: HardState | None, entries: list[Entry], snapshot: Snapshot | None) -> None:
        if state is not None and not state.is_empty():
            node.storage.set_hard_state(state)
        if snapshot is not None:
            if entries:
                raise ScriptError("can't apply snapshot and entries at the same time")
            node.storage.apply_snapshot(snapshot)
            node.storage.history.append(snapshot)
        node.storage.append(entries)

    def _apply(self, node: Node, entries: list[Entry]) -> None:
        for entry in entries:
            last = node.storage.history[-1]
            conf_state = last.conf_state
            update = entry.data
            if entry.type != ENTRY_NORMAL:
                conf_state = node.raw.apply_conf_change(entry)
                update = _change_context(entry)
            node.storage.history.append(Snapshot(last.data + update, entry.index, entry.term, conf_state))

    # Messages

    def waiting_messages(self, member: int) -> list[Message]:
        return [message for message in self.messages if message.to == member]

    def deliver(self, member: int, kind: int | None = None, *, drop: bool = False) -> int:
        """Deliver or drop what waits for `member`; return how many those were.

        A node's own threads are reliable: what they say is never dropped.
        """
        taken: list[Message] = []
        kept: list[Message] = []
        for message in self.messages:
            is_chosen = message.to == member and (kind is None or message.type == kind)
            (taken if is_chosen and not (drop and _is_local(message)) else kept).append(message)
        self.messages = kept
        for message in taken:
            if drop:
                self.output.write("dropped: ")
            self.output.write(describe_message(message) + "\n")
            if drop:
                continue
            try:
                self.node(member).raw.step(message)
            except RaftError as error:
                self.output.write(f"{error}\n")
        return len(taken)

    def send_snapshot(self, sender: Node, receiver: int) -> None:
        message = Message(
            MSG_SNAP,
            to=receiver,
            from_=sender.id,
            term=sender.raw.basic_status().term,
            snapshot=sender.storage.snapshot(),
        )
        self.messages.append(message)
        self.output.write(describe_message(message))

    # Everything at once

    def stabilize(self, nodes: list[Node]) -> None:
        """Let everything happen at `nodes` until nothing is left to do."""
        while True:
            is_done = True
            for node in nodes:
                if node.raw.has_ready():
                    is_done = False
                    self.output.write(f"> {node.id} handling Ready\n")
                    with self.output.indented():
                        self.process_ready(node)
            for node in nodes:
                if self.waiting_messages(node.id):
                    is_done = False
                    self.output.write(f"> {node.id} receiving messages\n")
                    with self.output.indented():
                        self.deliver(node.id)
            for node in nodes:
                if node.append_work:
                    is_done = False
                    self.output.write(f"> {node.id} processing append thread\n")
                    while node.append_work:
                        with self.output.indented():
                            self.process_append_thread(node)
            for node in nodes:
                if node.apply_work:
                    is_done = False
                    self.output.write(f"> {node.id} processing apply thread\n")
                    while node.apply_work:
                        with self.output.indented():
                            self.process_apply_thread(node)
            if is_done:
                return


def _is_local(message: Message) -> bool:
    return message.from_ == message.to or message.from_ in LOCAL_THREADS or message.to in LOCAL_THREADS


def _change_context(entry: Entry) -> bytes:
    if entry.type == ENTRY_CONF_CHANGE:
        return raft_pb2.ConfChange.FromString(entry.data).context
    return raft_pb2.ConfChangeV2.FromString(entry.data).context
