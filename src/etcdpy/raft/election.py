"""Elections: asking for votes, giving them, counting them.

    time-out > pre-vote (would you vote for me?) > vote > leader
                  nothing changes for anybody        a new term, for everybody

Rules
  * One vote per term, remembered on disk before it is told (the answer waits for the append).
  * A vote goes only to a log at least as new as ours (paper 5.4.1).
  * Whoever heard from a leader within an election timeout gives none (check quorum; see `step`), unless that leader
    itself told the candidate to campaign.
  * Nobody campaigns while a committed conf change is not applied: the new configuration might not count it.
  * Learners vote when asked: the candidate may know of a promotion that they have not seen yet.

Upstream: raft.hup, raft.campaign, raft.poll.
"""

from __future__ import annotations

from etcdpy.pb.raft_values import ENTRY_NORMAL, Entry, Message
from etcdpy.raft.constants import (
    CAMPAIGN_TRANSFER_CONTEXT,
    LEADER,
    MESSAGE_NAMES,
    MSG_PRE_VOTE,
    MSG_VOTE,
    NO_MEMBER,
    PRE_CANDIDATE,
    VOTE_ANSWERS,
)
from etcdpy.raft.quorum import VOTE_LOST, VOTE_WON
from etcdpy.raft.raft import Raft
from etcdpy.raft.replication import append_entries, bcast_append


def campaign(raft: Raft, *, is_transfer: bool = False) -> None:
    """Start an election, if we may. `is_transfer`: the leader asked for it, so its lease does not count."""
    if raft.role == LEADER:
        raft.logger.debug(f"{raft.id:x} ignoring MsgHup because already leader")
        return
    if not raft.is_promotable():
        raft.logger.warning(f"{raft.id:x} is unpromotable and can not campaign")
        return
    if has_unapplied_conf_changes(raft):
        raft.logger.warning(
            f"{raft.id:x} cannot campaign at term {raft.term} "
            "since there are still pending configuration changes to apply"
        )
        return
    raft.logger.info(f"{raft.id:x} is starting a new election at term {raft.term}")
    if raft.config.pre_vote and not is_transfer:
        _ask_for_pre_votes(raft)
    else:
        _ask_for_votes(raft, CAMPAIGN_TRANSFER_CONTEXT if is_transfer else b"")


def has_unapplied_conf_changes(raft: Raft) -> bool:
    """Return whether a conf change stands among the entries that are committed and not applied."""
    log = raft.log
    index = log.applied + 1
    if log.unstable.snapshot is not None:
        # What comes before the snapshot is in it.
        index = max(index, log.first_index())
    while index <= log.committed:
        # In pieces: a state machine far behind must not bring its whole backlog into memory at once.
        entries = log.slice(index, log.committed + 1, log.applying_size_max)
        if any(entry.type != ENTRY_NORMAL for entry in entries):
            return True
        index += len(entries)
    return False


def _ask_for_pre_votes(raft: Raft) -> None:
    raft.become_pre_candidate()
    _send_vote_requests(raft, MSG_PRE_VOTE, raft.term + 1, b"")


def _ask_for_votes(raft: Raft, context: bytes) -> None:
    raft.become_candidate()
    _send_vote_requests(raft, MSG_VOTE, raft.term, context)


def _send_vote_requests(raft: Raft, kind: int, term: int, context: bytes) -> None:
    index, log_term = raft.log.last_index, raft.log.last_term()
    for voter in raft.tracker.membership.voters():
        if voter == raft.id:
            # Our own vote counts once it is on disk, like everybody's.
            raft.send(Message(VOTE_ANSWERS[kind], to=voter, term=term))
            continue
        raft.logger.info(
            f"{raft.id:x} [{raft.describe_last()}] sent {MESSAGE_NAMES[kind]} request to {voter:x} at term {raft.term}"
        )
        raft.send(Message(kind, to=voter, term=term, index=index, log_term=log_term, context=context))


def handle_vote_request(raft: Raft, message: Message) -> None:
    """Give our vote or refuse it. The caller has already adopted a newer term (of a real vote)."""
    kind = message.type
    is_granted = _may_vote_for(raft, message) and raft.log.is_up_to_date(index=message.index, term=message.log_term)
    raft.logger.info(
        f"{raft.id:x} [{raft.describe_last()}, vote: {raft.vote:x}] "
        f"{'cast' if is_granted else 'rejected'} {MESSAGE_NAMES[kind]} {'for' if is_granted else 'from'} "
        f"{message.from_:x} [logterm: {message.log_term}, index: {message.index}] at term {raft.term}"
    )
    if not is_granted:
        raft.send(Message(VOTE_ANSWERS[kind], to=message.from_, term=raft.term, reject=True))
        return
    # In the asked-for term: a pre-candidate's is one ahead of ours and would else be taken for an old answer.
    raft.send(Message(VOTE_ANSWERS[kind], to=message.from_, term=message.term))
    if kind == MSG_VOTE:
        raft.election_elapsed = 0
        raft.vote = message.from_


def _may_vote_for(raft: Raft, message: Message) -> bool:
    if raft.vote == message.from_:
        return True
    if raft.vote == NO_MEMBER and raft.leader_id == NO_MEMBER:
        return True
    # A pre-vote for a term to come takes nothing away from anybody.
    return message.type == MSG_PRE_VOTE and message.term > raft.term


def handle_vote_answer(raft: Raft, message: Message) -> None:
    """As (pre-)candidate: count a vote, and act when the outcome is sure."""
    kind = MESSAGE_NAMES[message.type]
    verdict = kind + " rejection" if message.reject else kind
    raft.logger.info(f"{raft.id:x} received {verdict} from {message.from_:x} at term {raft.term}")
    raft.tracker.record_vote(message.from_, not message.reject)
    granted, rejected, result = raft.tracker.tally_votes()
    raft.logger.info(f"{raft.id:x} has received {granted} {kind} votes and {rejected} vote rejections")
    if result == VOTE_WON:
        if raft.role == PRE_CANDIDATE:
            _ask_for_votes(raft, b"")
        else:
            _lead(raft)
    elif result == VOTE_LOST:
        # Of our own term: whoever refused knows of nothing newer, or the answer would have brought it.
        raft.become_follower(raft.term, NO_MEMBER)


def _lead(raft: Raft) -> None:
    """Open the term with an empty entry: only with it can anything before it be committed (paper 5.4.2)."""
    raft.become_leader()
    append_entries(raft, [Entry()])
    raft.logger.info(f"{raft.id:x} became leader at term {raft.term}")
    bcast_append(raft)
