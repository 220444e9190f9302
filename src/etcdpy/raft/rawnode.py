"""The node as the server sees it: calls in, Ready out. No threads, no locks, no waiting.

    config = Config(id=1, election_tick=10, heartbeat_tick=1, storage=MemoryStorage(), rng=random.Random(7))
    node = RawNode(config)
    ...
    while node.has_ready():
        ready = node.ready()
        # send its messages; persist MsgStorageAppend, then step its responses; apply MsgStorageApply, likewise

Rules
  * `ready()` hands out each thing once. With asynchronous writes the next one may be taken at any time; without, the
    caller finishes it (write, send, apply) and calls `advance()` first.
  * Entries given to `propose_entries` come out of `committed_entries` as the same objects, unless they were dropped or
    replaced on the way (a refused conf change, a change of leader).
  * `apply_conf_change` must be called for every committed conf change, in order, before it is reported as applied.
  * A Ready with a snapshot overtakes what is still to be applied: drop that, with its responses. It is in the snapshot.

Upstream: raft/rawnode.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ConfState, Entry, HardState, Message
from etcdpy.raft.change_codec import AnyConfChange, decode_change, encode_entry
from etcdpy.raft.config import Config
from etcdpy.raft.constants import (
    LEADER,
    LOCAL_MESSAGES,
    LOCAL_THREADS,
    MSG_FORGET_LEADER,
    MSG_HUP,
    MSG_PROP,
    MSG_READ_INDEX,
    MSG_SNAP_STATUS,
    MSG_TRANSFER_LEADER,
    MSG_UNREACHABLE,
    RESPONSE_MESSAGES,
)
from etcdpy.raft.errors import StepLocalMessage, StepPeerNotFound
from etcdpy.raft.proposals import propose_as_leader
from etcdpy.raft.raft import Raft
from etcdpy.raft.ready import Ready, SoftState, make_append, make_append_resp, make_apply, make_apply_resp
from etcdpy.raft.reconfiguration import apply_conf_change
from etcdpy.raft.startup import bootstrap, start
from etcdpy.raft.status import BasicStatus, Status, basic_status_of, status_of
from etcdpy.raft.step import step
from etcdpy.raft.ticks import tick


class RawNode:
    """See the top of the file."""

    __slots__ = (
        "_raft",
        "_is_async",
        "_writes_bare_commits",
        "_previous_leader",
        "_previous_role",
        "_previous_hard_state",
        "_advance_steps",
    )

    def __init__(self, config: Config) -> None:
        self._raft = start(config)
        self._is_async = config.async_storage_writes
        self._writes_bare_commits = config.write_bare_commits
        # What the last Ready told.
        self._previous_leader = self._raft.leader_id
        self._previous_role = self._raft.role
        self._previous_hard_state = self._raft.hard_state()
        # Without asynchronous writes: what advance() is to tell ourselves.
        self._advance_steps: list[Message] = []

    @property
    def raft(self) -> Raft:
        """The machine inside: for tests, scenarios and the simulator."""
        return self._raft

    def bootstrap(self, peers: Sequence[tuple[int, bytes]]) -> None:
        """Begin the log of a new cluster with these (member id, context). Only on an empty storage."""
        bootstrap(self._raft, peers)
        # Nothing of it is on disk yet: the first Ready must write the hard state.
        self._previous_hard_state = HardState()

    # Input

    def tick(self) -> None:
        """One tick has passed."""
        tick(self._raft)

    def campaign(self) -> None:
        """Try to become leader."""
        step(self._raft, Message(MSG_HUP))

    def propose_entries(self, entries: list[Entry]) -> None:
        """Append `entries` to the log, or pass them to the leader. Raise ProposalDropped when neither is possible."""
        if not entries:
            raise InvariantError(f"{self._raft.id:x} was given an empty proposal")
        raft = self._raft
        if raft.role == LEADER:
            propose_as_leader(raft, entries)
        else:
            step(raft, Message(MSG_PROP, from_=raft.id, entries=entries))

    def propose(self, data: bytes) -> None:
        self.propose_entries([Entry(data=data)])

    def propose_conf_change(self, change: AnyConfChange) -> None:
        """Propose a change of the configuration. At most one can be on its way: others become empty entries."""
        self.propose_entries([encode_entry(change)])

    def apply_conf_change(self, change: AnyConfChange) -> ConfState:
        """Take a committed conf change into use; return the configuration that it makes."""
        snapshot = self._raft.log.unstable.snapshot
        if snapshot is not None:
            raise InvariantError(
                f"{self._raft.id:x} cannot apply a conf change: its configuration is that of snapshot {snapshot.index}"
            )
        return apply_conf_change(self._raft, decode_change(change))

    def step(self, message: Message) -> None:
        """Take a message of a peer or of a storage thread."""
        kind = message.type
        if message.from_ not in LOCAL_THREADS:
            if kind in LOCAL_MESSAGES:
                raise StepLocalMessage
            if (
                kind in RESPONSE_MESSAGES
                and message.from_ not in self._raft.tracker.progress
                and message.from_ != self._raft.id
            ):
                raise StepPeerNotFound
        step(self._raft, message)

    def read_index(self, context: bytes) -> None:
        """Ask for the index that a linearizable read must see. It comes as a ReadState with `context`, or never."""
        step(self._raft, Message(MSG_READ_INDEX, entries=[Entry(data=context)]))

    def transfer_leader(self, transferee: int) -> None:
        step(self._raft, Message(MSG_TRANSFER_LEADER, from_=transferee))

    def forget_leader(self) -> None:
        step(self._raft, Message(MSG_FORGET_LEADER))

    def report_unreachable(self, member: int) -> None:
        """The last message to `member` could not be sent."""
        step(self._raft, Message(MSG_UNREACHABLE, from_=member))

    def report_snapshot(self, member: int, ok: bool) -> None:
        """The snapshot to `member` was sent, or could not be."""
        step(self._raft, Message(MSG_SNAP_STATUS, from_=member, reject=not ok))

    # Output

    def has_ready(self) -> bool:
        """Return whether ready() has anything to say."""
        raft = self._raft
        if raft.messages or raft.messages_after_append or raft.read_states:
            return True
        if raft.leader_id != self._previous_leader or raft.role != self._previous_role:
            return True
        log = raft.log
        if log.last_index >= log.unstable.in_progress:
            return True
        if log.has_appliable(not self._is_async) or log.unstable.waiting_snapshot() is not None:
            return True
        return self._has_new_hard_state()

    def _has_new_hard_state(self) -> bool:
        """Return whether there is a hard state that must be written now."""
        raft = self._raft
        previous = self._previous_hard_state
        if raft.term != previous.term or raft.vote != previous.vote:
            return True
        return self._writes_bare_commits and raft.log.committed != previous.commit

    def ready(self) -> Ready:
        """Return what there is to do, and count it as taken."""
        if self._advance_steps:
            raise InvariantError("two Readys were taken without advance() between them")
        raft = self._raft
        log = raft.log
        ready = Ready()
        if raft.leader_id != self._previous_leader or raft.role != self._previous_role:
            self._previous_leader = raft.leader_id
            self._previous_role = raft.role
            ready.soft_state = SoftState(raft.leader_id, raft.role)
        if log.last_index >= log.unstable.in_progress:
            ready.entries = log.unstable.waiting_entries()
            ready.must_sync = bool(ready.entries)
        ready.snapshot = log.unstable.waiting_snapshot()
        self._fill_hard_state(ready)
        if raft.read_states:
            ready.read_states, raft.read_states = raft.read_states, []
        allow_unstable = not self._is_async
        ready.committed_entries = log.appliable_entries(allow_unstable)
        ready.messages, raft.messages = raft.messages, []
        if self._is_async:
            self._add_storage_messages(ready)
        else:
            self._divide_promises(ready)
        raft.messages_after_append = []
        log.unstable.take_for_write()
        if ready.committed_entries:
            log.accept_applying(ready.committed_entries, allow_unstable)
        return ready

    def _fill_hard_state(self, ready: Ready) -> None:
        raft = self._raft
        previous = self._previous_hard_state
        is_new = raft.term != previous.term or raft.vote != previous.vote
        if is_new:
            ready.must_sync = True
        elif raft.log.committed == previous.commit:
            return
        # A commit index alone need not be durable: it can be learnt again.
        is_written = is_new or ready.entries or ready.snapshot is not None
        if is_written or self._writes_bare_commits:
            self._previous_hard_state = ready.hard_state = raft.hard_state()

    def _add_storage_messages(self, ready: Ready) -> None:
        append = make_append(self._raft, ready)
        if append is not None:
            ready.messages.append(append)
        if ready.committed_entries:
            ready.messages.append(make_apply(self._raft, ready.committed_entries))

    def _divide_promises(self, ready: Ready) -> None:
        """Promises to others follow the messages: all is written before any is sent. Our own wait for advance()."""
        raft = self._raft
        for message in raft.messages_after_append:
            (self._advance_steps if message.to == raft.id else ready.messages).append(message)
        own = make_append_resp(raft, ready)
        if own is not None:
            self._advance_steps.append(own)
        if ready.committed_entries:
            self._advance_steps.append(make_apply_resp(raft, ready.committed_entries))

    def advance(self) -> None:
        """The last Ready is written, sent and applied. Only without asynchronous writes."""
        if self._is_async:
            raise InvariantError("advance() belongs to synchronous writes; step the responses instead")
        steps, self._advance_steps = self._advance_steps, []
        for message in steps:
            step(self._raft, message)

    # To look at

    def basic_status(self) -> BasicStatus:
        """Return the state of this node, cheaply."""
        return basic_status_of(self._raft)

    def status(self) -> Status:
        """Return the state of this node, with the configuration and, on a leader, everybody's progress."""
        return status_of(self._raft)

    def check_invariants(self) -> None:
        self._raft.check_invariants()
