"""Raft's values as text, in upstream's words: for logs, scenarios and the simulator's traces.

Nothing here ends in a newline but what is made of lines (`describe_entries`, `describe_ready`).

Upstream: raft/util.go.
"""

from __future__ import annotations

from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ENTRY_NORMAL, ConfState, Entry, HardState, Message, Snapshot
from etcdpy.raft.change_codec import decode_entry
from etcdpy.raft.confchange import ADD_LEARNER_NODE, ADD_NODE, REMOVE_NODE, UPDATE_NODE, Change
from etcdpy.raft.constants import (
    LOCAL_APPEND_THREAD,
    LOCAL_APPLY_THREAD,
    MESSAGE_NAMES,
    NO_MEMBER,
    ROLE_NAMES,
)
from etcdpy.raft.go_quote import quote
from etcdpy.raft.read_only import ReadState
from etcdpy.raft.ready import Ready, SoftState

_CHANGE_LETTERS = {ADD_NODE: "v", ADD_LEARNER_NODE: "l", REMOVE_NODE: "r", UPDATE_NODE: "u"}


def describe_member(member: int) -> str:
    if member == NO_MEMBER:
        return "None"
    if member == LOCAL_APPEND_THREAD:
        return "AppendThread"
    if member == LOCAL_APPLY_THREAD:
        return "ApplyThread"
    return f"{member:x}"


def describe_change(change: Change) -> str:
    kind, member = change
    return f"{_CHANGE_LETTERS.get(kind, 'unknown')}{member}"


def describe_entry(entry: Entry) -> str:
    kind = raft_pb2.EntryType.Name(entry.type)  # type: ignore[arg-type]
    text = f"{entry.term}/{entry.index} {kind}"
    if entry.type == ENTRY_NORMAL:
        return f"{text} {quote(entry.data)}"
    changes = " ".join(describe_change(change) for change in decode_entry(entry).changes)
    return f"{text} {changes}" if changes else text


def describe_entries(entries: list[Entry]) -> str:
    return "".join(describe_entry(entry) + "\n" for entry in entries)


def describe_hard_state(state: HardState) -> str:
    vote = f" Vote:{state.vote:x}" if state.vote else ""
    return f"Term:{state.term}{vote} Commit:{state.commit}"


def describe_soft_state(state: SoftState) -> str:
    return f"Lead:{state.leader_id:x} State:{ROLE_NAMES[state.role]}"


def describe_conf_state(state: ConfState) -> str:
    return (
        f"Voters:{_list(state.voters)} VotersOutgoing:{_list(state.voters_outgoing)} "
        f"Learners:{_list(state.learners)} LearnersNext:{_list(state.learners_next)} "
        f"AutoLeave:{'true' if state.auto_leave else 'false'}"
    )


def _list(ids: list[int]) -> str:
    return "[" + " ".join(str(member) for member in ids) + "]"


def describe_snapshot(snapshot: Snapshot) -> str:
    return f"Index:{snapshot.index} Term:{snapshot.term} ConfState:{describe_conf_state(snapshot.conf_state)}"


def describe_read_states(states: list[ReadState]) -> str:
    texts = [f"{{{state.index} [{' '.join(str(byte) for byte in state.context)}]}}" for state in states]
    return "[" + " ".join(texts) + "]"


def describe_message(message: Message, indent: str = "") -> str:
    """Return one line; entries, a snapshot and responses follow on lines of their own, deeper than `indent`."""
    text = (
        f"{indent}{describe_member(message.from_)}->{describe_member(message.to)} {MESSAGE_NAMES[message.type]} "
        f"Term:{message.term} Log:{message.log_term}/{message.index}"
    )
    if message.reject:
        text += f" Rejected (Hint: {message.reject_hint})"
    if message.commit:
        text += f" Commit:{message.commit}"
    if message.vote:
        text += f" Vote:{message.vote}"
    if len(message.entries) == 1:
        text += f" Entries:[{describe_entry(message.entries[0])}]"
    elif message.entries:
        lines = "".join(f"\n{indent}  {describe_entry(entry)}" for entry in message.entries)
        text += f" Entries:[{lines}\n{indent}]"
    if message.snapshot is not None and not message.snapshot.is_empty():
        text += f"\n{indent}  Snapshot: {describe_snapshot(message.snapshot)}"
    if message.responses:
        lines = "".join("\n" + describe_message(response, indent + "  ") for response in message.responses)
        text += f" Responses:[{lines}\n{indent}]"
    return text


def describe_ready(ready: Ready) -> str:
    lines = ""
    if ready.soft_state is not None:
        lines += describe_soft_state(ready.soft_state) + "\n"
    if ready.hard_state is not None:
        lines += f"HardState {describe_hard_state(ready.hard_state)}\n"
    if ready.read_states:
        lines += f"ReadStates {describe_read_states(ready.read_states)}\n"
    if ready.entries:
        lines += "Entries:\n" + describe_entries(ready.entries)
    if ready.snapshot is not None:
        lines += f"Snapshot {describe_snapshot(ready.snapshot)}\n"
    if ready.committed_entries:
        lines += "CommittedEntries:\n" + describe_entries(ready.committed_entries)
    if ready.messages:
        lines += "Messages:\n" + "".join(describe_message(message) + "\n" for message in ready.messages)
    if not lines:
        return "<empty Ready>"
    return f"Ready MustSync={'true' if ready.must_sync else 'false'}:\n{lines}"
