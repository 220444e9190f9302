"""Proposals, as the leader takes them: what may enter the log.

Rules
  * A conf change enters only if the one before it is applied, and if it fits the present configuration: else an empty
    entry takes its place. Its proposer learns from the empty entry that it was refused.
  * While leadership is being handed over nothing enters: the new leader must be able to catch up.
  * A leader that has left the configuration takes nothing.

Upstream: stepLeader's MsgProp.
"""

from __future__ import annotations

from etcdpy.pb.raft_values import ENTRY_NORMAL, Entry
from etcdpy.raft.change_codec import LeaveOrChanges, decode_entry, describe_entry_change
from etcdpy.raft.constants import NO_MEMBER
from etcdpy.raft.errors import ProposalDropped
from etcdpy.raft.raft import Raft
from etcdpy.raft.replication import append_entries, bcast_append


def propose_as_leader(raft: Raft, entries: list[Entry]) -> None:
    """Append `entries` and start to replicate them. Raise ProposalDropped when that cannot be."""
    if raft.id not in raft.tracker.progress:
        raise ProposalDropped
    if raft.transferee != NO_MEMBER:
        raft.logger.debug(
            f"{raft.id:x} [term {raft.term}] transfer leadership to {raft.transferee:x} is in progress; "
            "dropping proposal"
        )
        raise ProposalDropped
    for position, entry in enumerate(entries):
        if entry.type != ENTRY_NORMAL:
            entries[position] = _admit_conf_change(raft, entry, raft.log.last_index + 1 + position)
    if not append_entries(raft, entries):
        raise ProposalDropped
    bcast_append(raft)


def _admit_conf_change(raft: Raft, entry: Entry, index: int) -> Entry:
    """Return `entry`, or the empty entry that takes its place."""
    change = decode_entry(entry)
    refusal = _find_refusal(raft, change)
    if refusal and not raft.config.disable_conf_change_validation:
        raft.logger.info(
            f"{raft.id:x} ignoring conf change {describe_entry_change(entry)} "
            f"at config {raft.tracker.membership}: {refusal}"
        )
        return Entry()
    raft.pending_conf_index = index
    return entry


def _find_refusal(raft: Raft, change: LeaveOrChanges) -> str:
    """Return why `change` may not enter the log now, or ''."""
    applied = raft.log.applied
    is_joint = raft.tracker.membership.is_joint()
    # An empty change leaves a joint configuration, whatever its transition says.
    wants_leave = not change.changes
    if raft.pending_conf_index > applied:
        return f"possible unapplied conf change at index {raft.pending_conf_index} (applied to {applied})"
    if is_joint and not wants_leave:
        return "must transition out of joint config first"
    if not is_joint and wants_leave:
        return "not in joint state; refusing empty conf change"
    return ""
