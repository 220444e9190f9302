"""Taking a configuration into use, and following the state machine as it applies the log.

Rules
  * A configuration takes effect when its entry is applied, not when it is appended.
  * A smaller quorum may commit what the larger one could not: taking a configuration into use may commit.
  * A joint configuration that is left by itself: its leader proposes that once the entry which entered it is applied.

Upstream: raft.applyConfChange, raft.switchToConfig, raft.appliedTo.
"""

from __future__ import annotations

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE_V2, ConfState, Entry
from etcdpy.raft.change_codec import LeaveOrChanges
from etcdpy.raft.confchange import Changer
from etcdpy.raft.constants import LEADER, NO_MEMBER
from etcdpy.raft.errors import ConfChangeError, ProposalDropped
from etcdpy.raft.proposals import propose_as_leader
from etcdpy.raft.raft import Raft
from etcdpy.raft.replication import bcast_append, maybe_commit, maybe_send_append


def apply_conf_change(raft: Raft, change: LeaveOrChanges) -> ConfState:
    """Take `change`, whose entry is being applied, into use; return the configuration that it makes."""
    changer = Changer(raft.tracker, raft.log.last_index)
    try:
        if change.leaves_joint():
            changer.leave_joint()
        elif change.enters_joint():
            changer.enter_joint(change.changes, auto_leave=change.leaves_automatically())
        else:
            changer.simple(change.changes)
    except ConfChangeError as error:
        # Every member would fail alike here, and none could go on.
        raise InvariantError(f"{raft.id:x} cannot apply conf change at {raft.tracker.membership}: {error}") from error
    return switch_to(raft, changer)


def restore_conf_state(raft: Raft, conf_state: ConfState) -> None:
    """Take the configuration of a snapshot into use."""
    changer = Changer(raft.tracker, raft.log.last_index)
    changer.restore(conf_state)
    result = switch_to(raft, changer)
    if result != conf_state:
        raise InvariantError(f"restoring {conf_state} gave {result}")


def switch_to(raft: Raft, changer: Changer) -> ConfState:
    """Take over what `changer` computed, and do what follows from it."""
    tracker = raft.tracker
    tracker.switch(changer.membership, changer.progress)
    raft.logger.info(f"{raft.id:x} switched to configuration {tracker.membership}")
    conf_state = tracker.membership.to_conf_state()
    own = tracker.progress.get(raft.id)
    raft.is_learner = own is not None and own.is_learner
    if raft.role != LEADER:
        return conf_state
    if own is None or raft.is_learner:
        # Until it steps down it goes on leading without counting itself, so that the change gets to the others.
        if raft.config.step_down_on_removal:
            raft.become_follower(raft.term, NO_MEMBER)
        return conf_state
    if maybe_commit(raft):
        bcast_append(raft)
    else:
        # Newcomers are probed now rather than with the next proposal.
        for member in tracker.member_ids:
            if member != raft.id:
                maybe_send_append(raft, member, send_if_empty=False)
    if raft.transferee != NO_MEMBER and not tracker.membership.is_voter(raft.transferee):
        raft.abort_transfer()
    return conf_state


def applied_to(raft: Raft, index: int) -> None:
    """Note that the state machine has applied everything up to `index`."""
    raft.log.applied_to(max(index, raft.log.applied))
    membership = raft.tracker.membership
    if membership.auto_leave and raft.role == LEADER and raft.log.applied >= raft.pending_conf_index:
        _propose_leaving(raft)


def _propose_leaving(raft: Raft) -> None:
    """Propose to leave the joint configuration. If that is dropped, the next applied entry tries again."""
    membership = raft.tracker.membership
    try:
        propose_as_leader(raft, [Entry(type=ENTRY_CONF_CHANGE_V2)])
    except ProposalDropped as error:
        raft.logger.debug(f"not initiating automatic transition out of joint configuration {membership}: {error}")
    else:
        raft.logger.info(f"initiating automatic transition out of joint configuration {membership}")
