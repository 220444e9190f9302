"""Getting the log to everybody: the leader's half.

    append_entries > send_append ... handle_append_resp > commit > send_append ...
                     send_snapshot when the entries are compacted

Rules
  * An append names the entry before it; the follower takes it only if it holds that one.
  * Only entries of the leader's own term commit by counting (RaftLog.maybe_commit).
  * The leader counts its own copy like anybody's: when its disk has acknowledged it.
  * Whoever is paused is sent nothing; each heartbeat's answer lifts one pause, so lost messages never stop progress.

Upstream: raft.maybeSendAppend, stepLeader.
"""

from __future__ import annotations

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import Entry, Message
from etcdpy.raft.constants import MSG_APP, MSG_APP_RESP, MSG_SNAP, MSG_TIMEOUT_NOW
from etcdpy.raft.errors import LogError, SnapshotTemporarilyUnavailable
from etcdpy.raft.progress import PROBE, REPLICATE, SNAPSHOT, Progress
from etcdpy.raft.raft import Raft
from etcdpy.raft.reads import handle_read_ack, release_postponed_reads
from etcdpy.raft.sizes import NO_LIMIT, payload_size


def append_entries(raft: Raft, entries: list[Entry]) -> bool:
    """As leader: give `entries` (not empty) their places at the end of the log. False: too much is uncommitted."""
    if raft.config.max_uncommitted_size < NO_LIMIT and not raft.maybe_add_uncommitted(payload_size(entries)):
        raft.logger.warning(
            f"{raft.id:x} appending new entries to log would exceed uncommitted entry size limit; dropping proposal"
        )
        return False
    term = raft.term
    index = raft.log.last_index
    for entry in entries:
        index += 1
        entry.term = term
        entry.index = index
    raft.log.append(entries)
    # Our own acknowledgement, due when the disk has them.
    raft.messages_after_append.append(Message(MSG_APP_RESP, to=raft.id, from_=raft.id, term=term, index=index))
    return True


def bcast_append(raft: Raft) -> None:
    """Send to everybody what they lack, or at least the commit index."""
    for member in raft.tracker.member_ids:
        if member != raft.id:
            send_append(raft, member)


def send_append(raft: Raft, to: int) -> None:
    maybe_send_append(raft, to, send_if_empty=True)


def maybe_send_append(raft: Raft, to: int, *, send_if_empty: bool) -> bool:
    """Send one append, or a snapshot when the entries are gone; return whether anything was sent."""
    progress = raft.tracker.progress[to]
    if progress.is_paused():
        return False
    log = raft.log
    previous = progress.next - 1
    try:
        previous_term = log.term(previous)
        entries: list[Entry] = []
        # A full window lets empty appends through: their answers show what became of those sent.
        if progress.state != REPLICATE or not progress.inflights.is_full():
            entries = log.entries_from(progress.next, raft.config.max_size_per_message)
    except LogError:
        return _maybe_send_snapshot(raft, to, progress)
    if not entries and not send_if_empty:
        return False
    raft.send(Message(MSG_APP, to=to, index=previous, log_term=previous_term, entries=entries, commit=log.committed))
    progress.note_sent(count=len(entries), size=payload_size(entries), committed=log.committed)
    return True


def _maybe_send_snapshot(raft: Raft, to: int, progress: Progress) -> bool:
    if not progress.is_recently_active:
        raft.logger.debug(f"ignore sending snapshot to {to:x} since it is not recently active")
        return False
    try:
        snapshot = raft.log.snapshot()
    except SnapshotTemporarilyUnavailable:
        raft.logger.debug(f"{raft.id:x} failed to send snapshot to {to:x} because snapshot is temporarily unavailable")
        return False
    if snapshot.is_empty():
        raise InvariantError(f"{to:x} needs a snapshot and the storage has none")
    raft.logger.debug(
        f"{raft.id:x} [firstindex: {raft.log.first_index()}, commit: {raft.log.committed}] sent "
        f"snapshot[index: {snapshot.index}, term: {snapshot.term}] to {to:x} [{progress}]"
    )
    progress.become_snapshot(snapshot.index)
    raft.logger.debug(f"{raft.id:x} paused sending replication messages to {to:x} [{progress}]")
    raft.send(Message(MSG_SNAP, to=to, snapshot=snapshot))
    return True


def maybe_commit(raft: Raft) -> bool:
    """As leader: commit what a quorum holds; return whether the commit index moved."""
    return raft.log.maybe_commit(index=raft.tracker.committed(), term=raft.term)


def handle_append_resp(raft: Raft, message: Message, progress: Progress) -> None:
    progress.is_recently_active = True
    if message.reject:
        _handle_append_rejected(raft, message, progress)
    else:
        _handle_append_accepted(raft, message, progress)


def _handle_append_rejected(raft: Raft, message: Message, progress: Progress) -> None:
    """Go back to where the logs may agree: the follower's hint, and then whatever of ours can match its term."""
    member = message.from_
    raft.logger.debug(
        f"{raft.id:x} received MsgAppResp(rejected, hint: (index {message.reject_hint}, term {message.log_term})) "
        f"from {member:x} for index {message.index}"
    )
    hint = message.reject_hint
    if message.log_term:
        hint, _ = raft.log.find_conflict_by_term(hint, message.log_term)
    if not progress.maybe_decrease(rejected=message.index, hint=hint):
        return
    raft.logger.debug(f"{raft.id:x} decreased progress of {member:x} to [{progress}]")
    if progress.state == REPLICATE:
        progress.become_probe()
    send_append(raft, member)


def _handle_append_accepted(raft: Raft, message: Message, progress: Progress) -> None:
    member = message.from_
    is_news = progress.maybe_update(message.index)
    # An answer without news still ends probing, if it shows that the logs agree up to what we know.
    if not is_news and not (progress.match == message.index and progress.state == PROBE):
        return
    _advance_state(raft, member, progress, message.index)
    if maybe_commit(raft):
        release_postponed_reads(raft)
        bcast_append(raft)
    elif member != raft.id and progress.can_bump_commit(raft.log.committed):
        send_append(raft, member)
    if member == raft.id:
        return
    # The window may have room for more than one append now.
    while maybe_send_append(raft, member, send_if_empty=False):
        pass
    if member == raft.transferee and progress.match == raft.log.last_index:
        raft.logger.info(f"{raft.id:x} sent MsgTimeoutNow to {member:x} after received MsgAppResp")
        send_timeout_now(raft, member)


def _advance_state(raft: Raft, member: int, progress: Progress, index: int) -> None:
    if progress.state == REPLICATE:
        progress.inflights.free_to(index)
    elif progress.state == PROBE:
        progress.become_replicate()
    elif progress.match + 1 >= raft.log.first_index():
        # By the snapshot that we sent, or by any other way: the rest can be appended.
        raft.logger.debug(
            f"{raft.id:x} recovered from needing snapshot, "
            f"resumed sending replication messages to {member:x} [{progress}]"
        )
        progress.become_probe()
        progress.become_replicate()


def handle_heartbeat_resp(raft: Raft, message: Message, progress: Progress) -> None:
    member = message.from_
    progress.is_recently_active = True
    progress.is_flow_paused = False
    # Whoever lacks entries, or is not known to have them, is tried again: earlier appends may be lost.
    if progress.match < raft.log.last_index or progress.state == PROBE:
        send_append(raft, member)
    if message.context:
        handle_read_ack(raft, member, message.context)


def handle_snapshot_status(raft: Raft, message: Message, progress: Progress) -> None:
    """The transport says whether the snapshot went out."""
    if progress.state != SNAPSHOT:
        return
    member = message.from_
    if message.reject:
        progress.pending_snapshot = 0
    progress.become_probe()
    outcome = "failed" if message.reject else "succeeded"
    raft.logger.debug(
        f"{raft.id:x} snapshot {outcome}, resumed sending replication messages to {member:x} [{progress}]"
    )
    # Sent: wait until it answers that it has applied it. Failed: wait for a heartbeat before the next try.
    progress.is_flow_paused = True


def handle_unreachable(raft: Raft, message: Message, progress: Progress) -> None:
    """The transport lost something on the way: what was streamed ahead is in doubt."""
    if progress.state == REPLICATE:
        progress.become_probe()
    raft.logger.debug(f"{raft.id:x} failed to send message to {message.from_:x} because it is unreachable [{progress}]")


def send_timeout_now(raft: Raft, to: int) -> None:
    """Let `to` campaign at once."""
    raft.send(Message(MSG_TIMEOUT_NOW, to=to))
