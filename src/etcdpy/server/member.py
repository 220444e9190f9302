"""The member: a machine of values around raft (design section 4).

    in    propose, read_index, tick, step, persisted(write), applied(apply), restored(snapshot), apply_conf_change
    out   take_effects() -> Effects

It decides what is written, sent and applied, and in which order; it never does it. `server.loop` drives it with real
disks and sockets, a simulator with virtual ones.

Rules
  * A write is handed out once, in log order; the driver persists them in that order, one at a time.
  * Only entries that this member's own disk holds are handed out for applying.
  * Messages leave at once, also before the write of the same effects: followers then write while we do (thesis 10.2.1).
    A promise to others (a vote, "I hold entries up to n") is no such message: it waits in its write's responses and
    leaves, with the next effects, when that is on disk.
  * A write with a snapshot overtakes everything handed out for applying and not yet applied: the driver drops that,
    puts the snapshot's state in place, and says so by `persisted(write)` and then `restored(snapshot)`.
  * A change of nothing but the commit index is not worth a write of its own: it travels with the next one, if raft is
    told so (`write_bare_commits`), and an answer to who told us of it waits only for the writes before it. After a
    crash the commit index is a hint, never a promise (paper, figure 2: it is volatile).
"""

from __future__ import annotations

from typing import Any

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ConfState, Entry, HardState, Message, Snapshot
from etcdpy.raft.constants import LEADER, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, MSG_STORAGE_APPEND_RESP
from etcdpy.raft.rawnode import RawNode
from etcdpy.raft.status import Status
from etcdpy.raft.storage import MemoryStorage
from etcdpy.server.effects import Apply, Effects, Write


class Member:
    """One raft node and its log in memory. Not thread-safe: one thread owns it."""

    def __init__(self, node: RawNode, storage: MemoryStorage, hard_state: HardState, *, applied_index: int = 0) -> None:
        self._node = node
        self._raft = node.raft  # to look at, never to step
        self._storage = storage
        self._written = hard_state  # as on disk or in a write that was handed out
        self._leader_id = 0
        self._promises: list[Message] = []  # to others; what they promise is on disk
        self.applied_index = applied_index  # Invariant: <= committed_index, and only `applied` moves it.

    # -- what a caller may know

    @property
    def leader_id(self) -> int:
        return self._leader_id

    @property
    def is_leader(self) -> bool:
        return self._raft.role == LEADER

    @property
    def term(self) -> int:
        return self._raft.term

    @property
    def committed_index(self) -> int:
        """The last entry that is committed, handed out for applying or not: what waits for apply counts from here."""
        return self._raft.log.committed

    @property
    def last_index(self) -> int:
        return self._storage.last_index()

    @property
    def id(self) -> int:
        return self._raft.id

    @property
    def is_alone(self) -> bool:
        """Leads a cluster of nobody else: there is no member, not even a learner, whom anything could be told."""
        progress = self._raft.tracker.progress
        # One that removed itself leads on for a moment, and the only one in it then is somebody else.
        return self._raft.role == LEADER and len(progress) == 1 and self._raft.id in progress

    @property
    def is_learner(self) -> bool:
        return self._raft.is_learner

    @property
    def conf_state(self) -> ConfState:
        """The configuration in use."""
        return self._raft.tracker.membership.to_conf_state()

    # -- in

    def propose(self, entries: list[Entry]) -> None:
        """Append a batch to the log. Raise raft's ProposalDropped when there is no leader to take it."""
        self._node.propose_entries(entries)

    def propose_conf_change(self, change: Any) -> None:
        self._node.propose_conf_change(change)

    def apply_conf_change(self, change: Any) -> ConfState:
        return self._node.apply_conf_change(change)

    def status(self) -> Status:
        """Return raft's state; `progress` is empty on all but the leader."""
        return self._node.status()

    def read_index(self, context: bytes) -> None:
        """Ask for the index that a linearizable read must see; it comes back in `confirmed_reads`."""
        self._node.read_index(context)

    def tick(self) -> None:
        self._node.tick()

    def campaign(self) -> None:
        self._node.campaign()

    def step(self, message: Message) -> None:
        """Take a peer's message. Raise RaftError when it cannot be taken, which harms nobody."""
        self._node.step(message)

    def transfer_leader(self, transferee: int) -> None:
        """Begin to hand the lead to a voter, or pass the wish on to who leads; raft gives up after an election."""
        self._node.transfer_leader(transferee)

    def report_unreachable(self, member_id: int) -> None:
        """A message to a peer was dropped: do not count on what is in flight to it."""
        self._node.report_unreachable(member_id)

    def report_snapshot(self, member_id: int, ok: bool) -> None:
        """A snapshot was brought to a peer, or could not be."""
        self._node.report_snapshot(member_id, ok)

    def persisted(self, write: Write) -> None:
        """`write` is on disk: the log may build on it."""
        if write.snapshot is not None:
            self._storage.apply_snapshot(write.snapshot)
        if write.entries:
            self._storage.append(write.entries)
        own_id = self._raft.id
        for response in write.responses:
            if response.to != own_id:
                self._promises.append(response)
            elif not self._is_known(response):
                self._node.step(response)

    def _is_known(self, response: Message) -> bool:
        """Whether it says of entries that they are on disk which raft does not wait for any more: raft would log it."""
        return (
            response.type == MSG_STORAGE_APPEND_RESP
            and response.index < self._raft.log.unstable.offset
            and response.snapshot is None
        )

    def restored(self, snapshot: Snapshot) -> None:
        """The state machine is that of `snapshot`, whose write was persisted."""
        if snapshot.index <= self.applied_index:
            raise InvariantError(f"applied index would go back from {self.applied_index} to snapshot {snapshot.index}")
        self.applied_index = snapshot.index

    def applied(self, apply: Apply) -> None:
        """Every entry of `apply` has become state."""
        last = apply.entries[-1].index
        if last <= self.applied_index:
            raise InvariantError(f"applied index would go back from {self.applied_index} to {last}")
        self.applied_index = last
        for response in apply.responses:
            self._node.step(response)

    # -- out

    def take_effects(self) -> Effects | None:
        """Return what must be done next, or None when there is nothing."""
        if not self._node.has_ready():
            return self._take_promises()
        ready = self._node.ready()
        effects = Effects()
        if self._promises:
            effects.messages, self._promises = self._promises, []
        if ready.soft_state is not None and ready.soft_state.leader_id != self._leader_id:
            self._leader_id = ready.soft_state.leader_id
            effects.leader_changed = True
        for state in ready.read_states:
            effects.confirmed_reads.append((state.context, state.index))
        for message in ready.messages:
            if message.to == LOCAL_APPEND_THREAD:
                effects.write = self._make_write(message)
            elif message.to == LOCAL_APPLY_THREAD:
                effects.apply = Apply(message.entries, message.responses)
            else:
                effects.messages.append(message)
        return effects

    def _take_promises(self) -> Effects | None:
        if not self._promises:
            return None
        effects = Effects()
        effects.messages, self._promises = self._promises, []
        return effects

    def take_deferred(self) -> Write | None:
        """Return the commit index that no write carried so far: for a clean stop."""
        written = self._written
        commit = min(self._raft.log.committed, self._storage.last_index())
        if commit <= written.commit:
            return None
        self._written = HardState(written.term, written.vote, commit)
        return Write([], self._written, None, [], must_sync=True)

    def _make_write(self, message: Message) -> Write:
        must_sync = bool(message.entries) or message.snapshot is not None
        hard_state = None
        if message.term:
            written = self._written
            must_sync = must_sync or message.term != written.term or message.vote != written.vote
            self._written = hard_state = HardState(message.term, message.vote, message.commit)
        return Write(message.entries, hard_state, message.snapshot, message.responses, must_sync)
