"""Handing leadership over, and forgetting a leader that is known to be gone (thesis 3.10).

    leader: catch the transferee up > MsgTimeoutNow > it campaigns at once, past everybody's lease

Rules
  * One transfer at a time; it is given up after an election timeout, and proposals are dropped meanwhile.
  * The transferee is the sender of MsgTransferLeader, whoever passes it on.

Upstream: stepLeader's MsgTransferLeader, stepFollower's MsgForgetLeader.
"""

from __future__ import annotations

from etcdpy.pb.raft_values import Message
from etcdpy.raft.config import LEASE_BASED
from etcdpy.raft.constants import NO_MEMBER
from etcdpy.raft.progress import Progress
from etcdpy.raft.raft import Raft
from etcdpy.raft.replication import send_append, send_timeout_now


def handle_transfer_leader(raft: Raft, message: Message, progress: Progress) -> None:
    """As leader: start to hand over to the sender."""
    transferee = message.from_
    if progress.is_learner:
        raft.logger.debug(f"{raft.id:x} is learner. Ignored transferring leadership")
        return
    if raft.transferee != NO_MEMBER:
        if raft.transferee == transferee:
            raft.logger.info(
                f"{raft.id:x} [term {raft.term}] transfer leadership to {transferee:x} is in progress, "
                f"ignores request to same node {transferee:x}"
            )
            return
        previous = raft.transferee
        raft.abort_transfer()
        raft.logger.info(f"{raft.id:x} [term {raft.term}] abort previous transferring leadership to {previous:x}")
    if transferee == raft.id:
        raft.logger.debug(f"{raft.id:x} is already leader. Ignored transferring leadership to self")
        return
    raft.logger.info(f"{raft.id:x} [term {raft.term}] starts to transfer leadership to {transferee:x}")
    # It should be over within an election timeout, counted from now.
    raft.election_elapsed = 0
    raft.transferee = transferee
    if progress.match == raft.log.last_index:
        send_timeout_now(raft, transferee)
        raft.logger.info(
            f"{raft.id:x} sends MsgTimeoutNow to {transferee:x} immediately "
            f"as {transferee:x} already has up-to-date log"
        )
    else:
        send_append(raft, transferee)


def handle_forget_leader(raft: Raft) -> None:
    """As follower: vote for whoever asks, as if the leader had not been heard of. The term stays."""
    if raft.config.read_only == LEASE_BASED:
        # The leader serves reads because we promised not to elect another one yet.
        raft.logger.error("ignoring MsgForgetLeader due to ReadOnlyLeaseBased")
        return
    if raft.leader_id != NO_MEMBER:
        raft.logger.info(f"{raft.id:x} forgetting leader {raft.leader_id:x} at term {raft.term}")
        raft.leader_id = NO_MEMBER
