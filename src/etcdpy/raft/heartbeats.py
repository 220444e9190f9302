"""The leader's sign of life: it keeps elections away, tells the commit index, and carries the reads to confirm.

Upstream: raft.sendHeartbeat, raft.bcastHeartbeat.
"""

from __future__ import annotations

from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import MSG_HEARTBEAT
from etcdpy.raft.raft import Raft


def bcast_heartbeat(raft: Raft) -> None:
    """Send a heartbeat to everybody, with the newest read that waits."""
    bcast_heartbeat_with(raft, raft.read_only.newest_context())


def bcast_heartbeat_with(raft: Raft, context: bytes) -> None:
    for member in raft.tracker.member_ids:
        if member != raft.id:
            _send_heartbeat(raft, member, context)


def _send_heartbeat(raft: Raft, to: int, context: bytes) -> None:
    progress = raft.tracker.progress[to]
    # Never more than it surely holds: a commit index beyond its log would be one of somebody else's entries.
    commit = min(progress.match, raft.log.committed)
    raft.send(Message(MSG_HEARTBEAT, to=to, commit=commit, context=context))
    # This may go back: should what was sent before be lost, the next answer makes us tell the commit index again.
    progress.sent_commit = commit
