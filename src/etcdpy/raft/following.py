"""What a follower does with its leader's messages: take entries, the commit index, or a snapshot.

Rules
  * Entries are acknowledged by the last index that surely equals the leader's; the answer waits for the disk.
  * A refused append says where the logs may agree: leader and follower then skip whole terms in one round.
  * With `answer_bare_commits` off, an append without entries that moves the commit index is not answered when what it
    follows was acknowledged in this term. Should that answer have been lost, the leader asks again at a heartbeat: each
    message that goes unanswered moves our commit index, and that ends where our log does.
  * The commit index goes only as far as the log surely equals the leader's.
  * A snapshot replaces log and configuration, unless our log already holds its last entry.

Upstream: raft.handleAppendEntries, raft.handleHeartbeat, raft.handleSnapshot, raft.restore.
"""

from __future__ import annotations

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ConfState, Message, Snapshot
from etcdpy.raft.constants import FOLLOWER, MSG_APP_RESP, MSG_HEARTBEAT_RESP, NO_MEMBER
from etcdpy.raft.raft import Raft
from etcdpy.raft.reconfiguration import restore_conf_state


def handle_append(raft: Raft, message: Message) -> None:
    log = raft.log
    if message.index < log.committed:
        # Sent before the leader knew how far we are.
        raft.send(Message(MSG_APP_RESP, to=message.from_, index=log.committed))
        return
    committed = log.committed
    last = log.maybe_append(
        index=message.index, term=message.log_term, entries=message.entries, committed=message.commit
    )
    if last is None:
        _reject_append(raft, message)
    elif message.entries or log.committed == committed or _must_answer(raft, last):
        raft.acknowledged_index = last
        raft.send(Message(MSG_APP_RESP, to=message.from_, index=last))


def _must_answer(raft: Raft, index: int) -> bool:
    """Whether the leader is to hear that we have `index` although it only told us of a commit."""
    return raft.config.answer_bare_commits or raft.acknowledged_index < index


def _reject_append(raft: Raft, message: Message) -> None:
    log = raft.log
    raft.logger.debug(
        f"{raft.id:x} [logterm: {log.term_or_zero(message.index)}, index: {message.index}] rejected MsgApp "
        f"[logterm: {message.log_term}, index: {message.index}] from {message.from_:x}"
    )
    # Entries of ours newer than the leader's term at that place cannot be the leader's: the hint lies before them.
    hint, hint_term = log.find_conflict_by_term(min(message.index, log.last_index), message.log_term)
    raft.send(
        Message(MSG_APP_RESP, to=message.from_, index=message.index, reject=True, reject_hint=hint, log_term=hint_term)
    )


def handle_heartbeat(raft: Raft, message: Message) -> None:
    raft.log.commit_to(message.commit)
    raft.send(Message(MSG_HEARTBEAT_RESP, to=message.from_, context=message.context))


def handle_snapshot(raft: Raft, message: Message) -> None:
    snapshot = message.snapshot if message.snapshot is not None else Snapshot()
    place = f"snapshot [index: {snapshot.index}, term: {snapshot.term}]"
    if _maybe_restore(raft, snapshot):
        raft.logger.info(f"{raft.id:x} [commit: {raft.log.committed}] restored {place}")
        raft.send(Message(MSG_APP_RESP, to=message.from_, index=raft.log.last_index))
    else:
        raft.logger.info(f"{raft.id:x} [commit: {raft.log.committed}] ignored {place}")
        raft.send(Message(MSG_APP_RESP, to=message.from_, index=raft.log.committed))


def _maybe_restore(raft: Raft, snapshot: Snapshot) -> bool:
    """Replace log and configuration by the snapshot's; return whether that was needed and possible."""
    log = raft.log
    if snapshot.index <= log.committed:
        return False
    if raft.role != FOLLOWER:
        # The caller has made a follower of us; if not, the cluster is safer without this node leading.
        raft.logger.warning(f"{raft.id:x} attempted to restore snapshot as leader; should never happen")
        raft.become_follower(raft.term + 1, NO_MEMBER)
        return False
    if not _is_named(raft.id, snapshot.conf_state):
        raft.logger.warning(
            f"{raft.id:x} attempted to restore snapshot but it is not in the ConfState {snapshot.conf_state}; "
            "should never happen"
        )
        return False
    if log.matches(index=snapshot.index, term=snapshot.term):
        raft.logger.info(
            f"{raft.id:x} {_describe_log(raft)} fast-forwarded commit to "
            f"snapshot [index: {snapshot.index}, term: {snapshot.term}]"
        )
        log.commit_to(snapshot.index)
        return False
    log.restore(snapshot)
    restore_conf_state(raft, snapshot.conf_state)
    own = raft.tracker.progress.get(raft.id)
    if own is None:
        raise InvariantError(f"{raft.id:x} is not in the configuration that it restored")
    own.maybe_update(own.next - 1)
    raft.logger.info(
        f"{raft.id:x} {_describe_log(raft)} restored snapshot [index: {snapshot.index}, term: {snapshot.term}]"
    )
    return True


def _is_named(member: int, conf_state: ConfState) -> bool:
    # learners_next are among the outgoing voters.
    return member in conf_state.voters or member in conf_state.learners or member in conf_state.voters_outgoing


def _describe_log(raft: Raft) -> str:
    log = raft.log
    return f"[commit: {log.committed}, lastindex: {log.last_index}, lastterm: {log.last_term()}]"
