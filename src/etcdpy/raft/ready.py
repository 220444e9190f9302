"""What a node wants done: written, sent, applied. Everything in one Ready happens in the order of its fields.

Asynchronous writes (`async_storage_writes`): what is to be written is one MsgStorageAppend to LOCAL_APPEND_THREAD, what
is to be applied one MsgStorageApply to LOCAL_APPLY_THREAD. Each carries the responses that are to be delivered, to
whoever they name, once it is done; the next Ready may be taken before that.

    MsgStorageAppend   entries, snapshot, and the hard state (term, vote, commit) if it changed
        responses:     answers that promise something about this disk; then, to ourselves, "stable up to (index, term)"
    MsgStorageApply    committed entries
        responses:     to ourselves, "applied up to"

Rules
  * Appends are done in order, and so are applies; the two need not wait for each other. But a snapshot overtakes the
    applies that were handed out before it and are not done: they are dropped, responses and all.
  * `must_sync`: without it, losing the write costs nothing but the commit index.

Upstream: raft/rawnode.go, raft/doc.go.
"""

from __future__ import annotations

from etcdpy.pb.raft_values import Entry, HardState, Message, Snapshot
from etcdpy.raft.constants import (
    LOCAL_APPEND_THREAD,
    LOCAL_APPLY_THREAD,
    MSG_STORAGE_APPEND,
    MSG_STORAGE_APPEND_RESP,
    MSG_STORAGE_APPLY,
    MSG_STORAGE_APPLY_RESP,
)
from etcdpy.raft.raft import Raft
from etcdpy.raft.read_only import ReadState


class SoftState:
    """Who leads and what we are: lost in a crash, and never needed again."""

    __slots__ = ("leader_id", "role")

    def __init__(self, leader_id: int, role: int) -> None:
        self.leader_id = leader_id
        self.role = role


class Ready:
    """See the top of the file. `soft_state` and `hard_state` are None when unchanged."""

    __slots__ = (
        "soft_state",
        "hard_state",
        "read_states",
        "entries",
        "snapshot",
        "committed_entries",
        "messages",
        "must_sync",
    )

    def __init__(self) -> None:
        self.soft_state: SoftState | None = None
        self.hard_state: HardState | None = None
        self.read_states: list[ReadState] = []
        self.entries: list[Entry] = []
        self.snapshot: Snapshot | None = None
        self.committed_entries: list[Entry] = []
        self.messages: list[Message] = []
        self.must_sync = False


def make_append(raft: Raft, ready: Ready) -> Message | None:
    """Return the write of `ready` with the answers that wait for it, or None when there is neither."""
    state = ready.hard_state
    responses = raft.messages_after_append
    if not (ready.entries or responses or state is not None or ready.snapshot is not None):
        return None
    message = Message(
        MSG_STORAGE_APPEND, to=LOCAL_APPEND_THREAD, from_=raft.id, entries=ready.entries, snapshot=ready.snapshot
    )
    if state is not None:
        message.term = state.term
        message.vote = state.vote
        message.commit = state.commit
    own = make_append_resp(raft, ready)
    message.responses = responses if own is None else [*responses, own]
    return message


def make_append_resp(raft: Raft, ready: Ready) -> Message | None:
    """Return the word to ourselves that the unstable tail is on disk, as far as it goes now.

    While anything of the tail is in progress every append carries one, even one without entries: a response of an older
    term is not believed (see `step`), and then a later one must take its place.
    """
    tail = raft.log.unstable.tail
    if not tail and ready.snapshot is None:
        return None
    message = Message(MSG_STORAGE_APPEND_RESP, to=raft.id, from_=LOCAL_APPEND_THREAD, term=raft.term)
    if tail:
        last = tail[-1]
        message.index = last.index
        message.log_term = last.term
    message.snapshot = ready.snapshot
    return message


def make_apply(raft: Raft, entries: list[Entry]) -> Message:
    response = make_apply_resp(raft, entries)
    return Message(MSG_STORAGE_APPLY, to=LOCAL_APPLY_THREAD, from_=raft.id, entries=entries, responses=[response])


def make_apply_resp(raft: Raft, entries: list[Entry]) -> Message:
    return Message(MSG_STORAGE_APPLY_RESP, to=raft.id, from_=LOCAL_APPLY_THREAD, entries=entries)
