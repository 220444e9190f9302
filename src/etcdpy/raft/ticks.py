"""Time, in ticks: when to campaign, to beat, and to see whether a quorum still listens.

Upstream: raft.tickElection, raft.tickHeartbeat.
"""

from __future__ import annotations

from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import LEADER, MSG_BEAT, MSG_CHECK_QUORUM, MSG_HUP, NO_MEMBER
from etcdpy.raft.raft import Raft
from etcdpy.raft.step import step


def tick(raft: Raft) -> None:
    """One tick has passed."""
    if raft.role == LEADER:
        _tick_leader(raft)
    else:
        _tick_election(raft)


def _tick_election(raft: Raft) -> None:
    raft.election_elapsed += 1
    if raft.election_elapsed >= raft.randomized_election_timeout and raft.is_promotable():
        raft.election_elapsed = 0
        step(raft, Message(MSG_HUP, from_=raft.id))


def _tick_leader(raft: Raft) -> None:
    raft.heartbeat_elapsed += 1
    raft.election_elapsed += 1
    if raft.election_elapsed >= raft.config.election_tick:
        raft.election_elapsed = 0
        if raft.config.check_quorum:
            step(raft, Message(MSG_CHECK_QUORUM, from_=raft.id))
        if raft.role == LEADER and raft.transferee != NO_MEMBER:
            # It did not take over in an election timeout: accept proposals again.
            raft.abort_transfer()
    if raft.role == LEADER and raft.heartbeat_elapsed >= raft.config.heartbeat_tick:
        raft.heartbeat_elapsed = 0
        step(raft, Message(MSG_BEAT, from_=raft.id))
