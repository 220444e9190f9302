"""Configuration changes as they stand in the log: two encodings, one meaning.

    v1  raftpb.ConfChange     one change, always simple; what etcd itself writes
    v2  raftpb.ConfChangeV2   any number of changes, with a way to go through a joint configuration

Rules
  * Everything is worked with as v2; a v1 change is a v2 change of one with transition auto.
  * A v2 change that says nothing at all means: leave the joint configuration.
  * Auto enters a joint configuration only when more than one change asks for it.

Upstream: raftpb/confchange.go.
"""

from __future__ import annotations

from typing import Final

from etcdpy.base.invariant import InvariantError
from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, ENTRY_CONF_CHANGE_V2, Entry
from etcdpy.raft.confchange import Change
from etcdpy.raft.go_quote import quote

TRANSITION_AUTO: Final = 0
TRANSITION_JOINT_IMPLICIT: Final = 1
TRANSITION_JOINT_EXPLICIT: Final = 2

# What callers may hand in. An Entry carries its encoding in `type` and its waiter in `request`.
AnyConfChange = raft_pb2.ConfChange | raft_pb2.ConfChangeV2 | Entry


class LeaveOrChanges:
    """A configuration change in one form."""

    __slots__ = ("transition", "changes", "has_context")

    def __init__(self, transition: int, changes: list[Change], has_context: bool) -> None:
        self.transition = transition
        self.changes = changes
        self.has_context = has_context

    def leaves_joint(self) -> bool:
        # The context is the application's, it does not say what to do.
        return self.transition == TRANSITION_AUTO and not self.changes

    def enters_joint(self) -> bool:
        return self.transition != TRANSITION_AUTO or len(self.changes) > 1

    def leaves_automatically(self) -> bool:
        return self.transition != TRANSITION_JOINT_EXPLICIT


def decode_change(change: AnyConfChange) -> LeaveOrChanges:
    """Return `change` in the one form."""
    if isinstance(change, Entry):
        return decode_entry(change)
    if isinstance(change, raft_pb2.ConfChange):
        return LeaveOrChanges(TRANSITION_AUTO, [(change.type, change.node_id)], bool(change.context))
    changes: list[Change] = [(single.type, single.node_id) for single in change.changes]
    return LeaveOrChanges(change.transition, changes, bool(change.context))


def decode_entry(entry: Entry) -> LeaveOrChanges:
    """Return the change in `entry`, of either conf change type."""
    return decode_change(_parse(entry))


def encode_entry(change: AnyConfChange) -> Entry:
    """Return the entry that proposes `change`; an Entry is returned as it is."""
    if isinstance(change, Entry):
        return change
    if isinstance(change, raft_pb2.ConfChange):
        return Entry(type=ENTRY_CONF_CHANGE, data=change.SerializeToString())
    return Entry(type=ENTRY_CONF_CHANGE_V2, data=change.SerializeToString())


def _parse(entry: Entry) -> raft_pb2.ConfChange | raft_pb2.ConfChangeV2:
    if entry.type == ENTRY_CONF_CHANGE:
        return raft_pb2.ConfChange.FromString(entry.data)
    if entry.type == ENTRY_CONF_CHANGE_V2:
        return raft_pb2.ConfChangeV2.FromString(entry.data)
    raise InvariantError(f"entry {entry.index} of type {entry.type} is no conf change")


def describe_entry_change(entry: Entry) -> str:
    """Return the change in protobuf's text format on one line, as raft's log shows it."""
    return describe_pb(_parse(entry))


def describe_pb(change: raft_pb2.ConfChange | raft_pb2.ConfChangeV2) -> str:
    parts: list[str] = []
    if isinstance(change, raft_pb2.ConfChange):
        parts.append(_describe_single(change.type, change.node_id))
        if change.context:
            parts.append(f"context:{quote(change.context)}")
        if change.id:
            parts.append(f"id:{change.id}")
        return " ".join(parts)
    if change.HasField("transition"):
        parts.append(f"transition:{raft_pb2.ConfChangeTransition.Name(change.transition)}")
    parts.extend(f"changes:{{{_describe_single(single.type, single.node_id)}}}" for single in change.changes)
    if change.context:
        parts.append(f"context:{quote(change.context)}")
    return " ".join(parts)


def _describe_single(kind: raft_pb2.ConfChangeType.ValueType, member: int) -> str:
    return f"type:{raft_pb2.ConfChangeType.Name(kind)} node_id:{member}"
