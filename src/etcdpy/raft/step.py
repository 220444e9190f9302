"""One message in: what its term says first, then what its kind means to our role.

    term 0       from this process or passed on by a peer: no term's agreement
    newer term   we were behind: follow, unless it is a vote that our lease or the rules of pre-voting forbid
    older term   its sender is behind: ignore, or answer so that it learns

Upstream: raft.Step, stepLeader, stepCandidate, stepFollower.
"""

from __future__ import annotations

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import Message, Snapshot
from etcdpy.raft import election, following, reads, replication, transfer
from etcdpy.raft.constants import (
    CAMPAIGN_TRANSFER_CONTEXT,
    LEADER,
    LEADER_MESSAGES,
    MESSAGE_NAMES,
    MSG_APP,
    MSG_APP_RESP,
    MSG_BEAT,
    MSG_CHECK_QUORUM,
    MSG_FORGET_LEADER,
    MSG_HEARTBEAT,
    MSG_HEARTBEAT_RESP,
    MSG_HUP,
    MSG_PRE_VOTE,
    MSG_PRE_VOTE_RESP,
    MSG_PROP,
    MSG_READ_INDEX,
    MSG_READ_INDEX_RESP,
    MSG_SNAP,
    MSG_SNAP_STATUS,
    MSG_STORAGE_APPEND_RESP,
    MSG_STORAGE_APPLY_RESP,
    MSG_TIMEOUT_NOW,
    MSG_TRANSFER_LEADER,
    MSG_UNREACHABLE,
    MSG_VOTE,
    MSG_VOTE_RESP,
    NO_MEMBER,
    PRE_CANDIDATE,
    ROLE_NAMES,
)
from etcdpy.raft.errors import ProposalDropped
from etcdpy.raft.heartbeats import bcast_heartbeat
from etcdpy.raft.proposals import propose_as_leader
from etcdpy.raft.raft import Raft
from etcdpy.raft.reconfiguration import applied_to


def step(raft: Raft, message: Message) -> None:
    """Take one message. Raise ProposalDropped when it is a proposal that cannot be taken."""
    term = message.term
    if term and term != raft.term and not _settle_term(raft, message):
        return
    kind = message.type
    if kind == MSG_STORAGE_APPEND_RESP:
        _handle_storage_append_resp(raft, message)
    elif kind == MSG_STORAGE_APPLY_RESP:
        _handle_storage_apply_resp(raft, message)
    elif kind == MSG_HUP:
        election.campaign(raft)
    elif kind == MSG_VOTE or kind == MSG_PRE_VOTE:
        election.handle_vote_request(raft, message)
    elif raft.role == LEADER:
        _step_leader(raft, message)
    elif kind in LEADER_MESSAGES:
        _step_leaders_message(raft, message)
    elif raft.role:
        _step_candidate(raft, message)
    else:
        _step_follower(raft, message)


# Terms


def _settle_term(raft: Raft, message: Message) -> bool:
    """Bring our term and the message's together; return whether the message is still to be handled."""
    if message.term < raft.term:
        _answer_older_term(raft, message)
        return False
    kind = message.type
    if (kind == MSG_VOTE or kind == MSG_PRE_VOTE) and _is_refused_by_lease(raft, message):
        return False
    if kind == MSG_PRE_VOTE:
        return True
    if kind == MSG_PRE_VOTE_RESP and not message.reject:
        # Granted for the term that we asked about. We take that term when we have a quorum of these.
        return True
    raft.logger.info(
        f"{raft.id:x} [term: {raft.term}] received a {MESSAGE_NAMES[kind]} message with higher term "
        f"from {message.from_:x} [term: {message.term}]"
    )
    raft.become_follower(message.term, message.from_ if kind in LEADER_MESSAGES else NO_MEMBER)
    return True


def _is_refused_by_lease(raft: Raft, message: Message) -> bool:
    """Whoever hears from a leader takes no part in an election, not even by its term (thesis 4.2.3)."""
    if message.context == CAMPAIGN_TRANSFER_CONTEXT:
        return False
    timeout = raft.config.election_tick
    if not raft.config.check_quorum or raft.leader_id == NO_MEMBER or raft.election_elapsed >= timeout:
        return False
    raft.logger.info(
        f"{raft.id:x} [{raft.describe_last()}, vote: {raft.vote:x}] ignored {MESSAGE_NAMES[message.type]} "
        f"from {message.from_:x} [logterm: {message.log_term}, index: {message.index}] at term {raft.term}: "
        f"lease is not expired (remaining ticks: {timeout - raft.election_elapsed})"
    )
    return True


def _answer_older_term(raft: Raft, message: Message) -> None:
    kind = message.type
    config = raft.config
    if (config.check_quorum or config.pre_vote) and (kind == MSG_HEARTBEAT or kind == MSG_APP):
        # A leader of an old term, while our own higher term was never heard by a quorum that ignores us by its lease,
        # or that we only pre-voted in. The answer carries our term, so that it steps down and we can rejoin.
        raft.send(Message(MSG_APP_RESP, to=message.from_))
    elif kind == MSG_PRE_VOTE:
        # Its term must come up to ours, or its pre-votes and ours could wait for each other for ever.
        raft.logger.info(
            f"{raft.id:x} [{raft.describe_last()}, vote: {raft.vote:x}] rejected MsgPreVote "
            f"from {message.from_:x} [logterm: {message.log_term}, index: {message.index}] at term {raft.term}"
        )
        raft.send(Message(MSG_PRE_VOTE_RESP, to=message.from_, term=raft.term, reject=True))
    elif kind == MSG_STORAGE_APPEND_RESP:
        if message.index:
            # Entries appended in an old term may have been overwritten by a write that is still on its way, even if the
            # same (index, term) stands there again: only an answer of this term proves that they are on disk.
            raft.logger.info(
                f"{raft.id:x} [term: {raft.term}] ignored entry appends from a MsgStorageAppendResp message "
                f"with lower term [term: {message.term}]"
            )
        if message.snapshot is not None:
            # What a snapshot holds was committed: no other write can replace it.
            _snapshot_applied(raft, message.snapshot)
    else:
        raft.logger.info(
            f"{raft.id:x} [term: {raft.term}] ignored a {MESSAGE_NAMES[kind]} message with lower term "
            f"from {message.from_:x} [term: {message.term}]"
        )


# Our own storage threads


def _handle_storage_append_resp(raft: Raft, message: Message) -> None:
    if message.index:
        raft.log.unstable.stable_to(message.index, message.log_term)
    if message.snapshot is not None:
        _snapshot_applied(raft, message.snapshot)


def _handle_storage_apply_resp(raft: Raft, message: Message) -> None:
    if message.entries:
        applied_to(raft, message.entries[-1].index)
        raft.subtract_uncommitted(message.entries)


def _snapshot_applied(raft: Raft, snapshot: Snapshot) -> None:
    raft.log.unstable.stable_snapshot_to(snapshot.index)
    applied_to(raft, snapshot.index)


# Roles


def _step_leader(raft: Raft, message: Message) -> None:
    kind = message.type
    if kind == MSG_PROP:
        propose_as_leader(raft, message.entries)
    elif kind == MSG_BEAT:
        bcast_heartbeat(raft)
    elif kind == MSG_CHECK_QUORUM:
        _check_quorum(raft)
    elif kind == MSG_READ_INDEX:
        reads.handle_read_index(raft, message)
    elif kind == MSG_FORGET_LEADER:
        return
    else:
        _step_leader_about_member(raft, message)


def _step_leader_about_member(raft: Raft, message: Message) -> None:
    """The kinds whose sender is a member that we replicate to."""
    kind = message.type
    progress = raft.tracker.progress.get(message.from_)
    if progress is None:
        raft.logger.debug(f"{raft.id:x} no progress available for {message.from_:x}")
    elif kind == MSG_APP_RESP:
        replication.handle_append_resp(raft, message, progress)
    elif kind == MSG_HEARTBEAT_RESP:
        replication.handle_heartbeat_resp(raft, message, progress)
    elif kind == MSG_SNAP_STATUS:
        replication.handle_snapshot_status(raft, message, progress)
    elif kind == MSG_UNREACHABLE:
        replication.handle_unreachable(raft, message, progress)
    elif kind == MSG_TRANSFER_LEADER:
        transfer.handle_transfer_leader(raft, message, progress)


def _check_quorum(raft: Raft) -> None:
    """Step down when no quorum was heard of since the last check; then begin to listen anew."""
    if not raft.tracker.is_quorum_active():
        raft.logger.warning(f"{raft.id:x} stepped down to follower since quorum is not active")
        raft.become_follower(raft.term, NO_MEMBER)
    for member, progress in raft.tracker.progress.items():
        if member != raft.id:
            progress.is_recently_active = False


def _step_leaders_message(raft: Raft, message: Message) -> None:
    """As follower or (pre-)candidate: somebody leads our term, so we follow."""
    if raft.role:
        raft.become_follower(message.term, message.from_)
    else:
        raft.election_elapsed = 0
        raft.leader_id = message.from_
    if message.type == MSG_APP:
        following.handle_append(raft, message)
    elif message.type == MSG_HEARTBEAT:
        following.handle_heartbeat(raft, message)
    elif message.type == MSG_SNAP:
        following.handle_snapshot(raft, message)
    else:
        raise InvariantError(f"{MESSAGE_NAMES[message.type]} is no leader's message")


def _step_candidate(raft: Raft, message: Message) -> None:
    kind = message.type
    # Pre-candidates count pre-votes, candidates votes: answers of the other kind are left over.
    if kind == (MSG_PRE_VOTE_RESP if raft.role == PRE_CANDIDATE else MSG_VOTE_RESP):
        election.handle_vote_answer(raft, message)
    elif kind == MSG_PROP:
        _drop_proposal(raft)
    elif kind == MSG_TIMEOUT_NOW:
        raft.logger.debug(
            f"{raft.id:x} [term {raft.term} state {ROLE_NAMES[raft.role]}] ignored MsgTimeoutNow from {message.from_:x}"
        )


def _step_follower(raft: Raft, message: Message) -> None:
    kind = message.type
    if kind == MSG_PROP:
        _forward_proposal(raft, message)
    elif kind == MSG_READ_INDEX:
        _forward(raft, message, "index reading msg")
    elif kind == MSG_READ_INDEX_RESP:
        reads.handle_read_index_resp(raft, message)
    elif kind == MSG_TRANSFER_LEADER:
        _forward(raft, message, "leader transfer msg")
    elif kind == MSG_FORGET_LEADER:
        transfer.handle_forget_leader(raft)
    elif kind == MSG_TIMEOUT_NOW:
        raft.logger.info(
            f"{raft.id:x} [term {raft.term}] received MsgTimeoutNow from {message.from_:x} "
            "and starts an election to get leadership."
        )
        election.campaign(raft, is_transfer=True)


def _forward_proposal(raft: Raft, message: Message) -> None:
    if raft.leader_id == NO_MEMBER:
        _drop_proposal(raft)
    if raft.config.disable_proposal_forwarding:
        raft.logger.info(
            f"{raft.id:x} not forwarding to leader {raft.leader_id:x} at term {raft.term}; dropping proposal"
        )
        raise ProposalDropped
    _pass_on(raft, message)


def _drop_proposal(raft: Raft) -> None:
    raft.logger.info(f"{raft.id:x} no leader at term {raft.term}; dropping proposal")
    raise ProposalDropped


def _forward(raft: Raft, message: Message, what: str) -> None:
    if raft.leader_id == NO_MEMBER:
        raft.logger.info(f"{raft.id:x} no leader at term {raft.term}; dropping {what}")
    else:
        _pass_on(raft, message)


def _pass_on(raft: Raft, message: Message) -> None:
    """Send the request on to the leader; its sender stays who it was."""
    raft.send(
        Message(message.type, to=raft.leader_id, from_=message.from_, entries=message.entries, context=message.context)
    )
