"""Linearizable reads without writing to the log: which index must be applied before a read is served (thesis 6.4).

    safe          note the commit index, then let a quorum confirm by heartbeat that we still lead
    lease-based   trust that nobody else can lead while our lease lasts; needs clocks that agree

Rules
  * Nothing is answered before an entry of the leader's own term is committed: only then is its commit index surely the
    newest. This holds for a single voter too: after a restart, what the last run had acknowledged may be committed only
    by the new term's first entry.
  * A read whose asker is the leader itself comes out as a ReadState, anybody else's as MsgReadIndexResp.

Upstream: raft/read_only.go, stepLeader's MsgReadIndex.
"""

from __future__ import annotations

from etcdpy.pb.raft_values import Message
from etcdpy.raft.config import LEASE_BASED
from etcdpy.raft.constants import MSG_READ_INDEX_RESP, NO_MEMBER
from etcdpy.raft.heartbeats import bcast_heartbeat_with
from etcdpy.raft.raft import Raft
from etcdpy.raft.read_only import ReadState


def handle_read_index(raft: Raft, message: Message) -> None:
    """As leader: start to confirm a read."""
    if raft.has_committed_in_term():
        _confirm(raft, message)
    else:
        raft.postponed_reads.append(message)


def release_postponed_reads(raft: Raft) -> None:
    """As leader: the commit index has moved; start what waited for our term's first entry."""
    if not raft.postponed_reads or not raft.has_committed_in_term():
        return
    messages, raft.postponed_reads = raft.postponed_reads, []
    for message in messages:
        _confirm(raft, message)


def handle_read_ack(raft: Raft, member: int, context: bytes) -> None:
    """As leader: `member` answered the heartbeat that carried `context`."""
    if raft.config.read_only == LEASE_BASED:
        return
    if raft.tracker.is_won_by(raft.read_only.acknowledge(member, context)):
        for read in raft.read_only.take_confirmed(context):
            _answer(raft, read.request, read.index)


def handle_read_index_resp(raft: Raft, message: Message) -> None:
    """As follower: the leader confirmed a read that we had passed on."""
    if len(message.entries) != 1:
        raft.logger.error(
            f"{raft.id:x} invalid format of MsgReadIndexResp from {message.from_:x}, "
            f"entries count: {len(message.entries)}"
        )
        return
    raft.read_states.append(ReadState(message.index, message.entries[0].data))


def _confirm(raft: Raft, message: Message) -> None:
    committed = raft.log.committed
    if raft.config.read_only == LEASE_BASED or raft.tracker.is_won_by({raft.id}):
        _answer(raft, message, committed)
        return
    context = message.entries[0].data
    raft.read_only.add(message, committed)
    raft.read_only.acknowledge(raft.id, context)
    bcast_heartbeat_with(raft, context)


def _answer(raft: Raft, request: Message, index: int) -> None:
    if request.from_ in (NO_MEMBER, raft.id):
        raft.read_states.append(ReadState(index, request.entries[0].data))
    else:
        raft.send(Message(MSG_READ_INDEX_RESP, to=request.from_, index=index, entries=request.entries))
