"""The beginning of a node: from what its storage holds, or as one of the first members of a new cluster.

Upstream: raft.newRaft, RawNode.Bootstrap.
"""

from __future__ import annotations

from collections.abc import Sequence

from etcdpy.base.invariant import InvariantError
from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import Entry
from etcdpy.raft.change_codec import decode_entry, encode_entry
from etcdpy.raft.config import Config
from etcdpy.raft.constants import NO_MEMBER
from etcdpy.raft.log import RaftLog
from etcdpy.raft.raft import Raft
from etcdpy.raft.reconfiguration import apply_conf_change, restore_conf_state
from etcdpy.raft.tracker import Tracker


def start(config: Config) -> Raft:
    """Return a follower that goes on where its storage ends."""
    log = RaftLog(config.storage, config.logger, config.committed_size_max)
    hard_state, conf_state = config.storage.initial_state()
    raft = Raft(config, log, Tracker(config.max_inflight_messages, config.max_inflight_bytes))
    restore_conf_state(raft, conf_state)
    if not hard_state.is_empty():
        raft.load_hard_state(hard_state)
    if config.applied:
        # What is applied was committed, whether or not the hard state came to say so.
        log.commit_to(config.applied)
        log.applied_to(config.applied)
    raft.become_follower(raft.term, NO_MEMBER)
    peers = ",".join(f"{member:x}" for member in raft.tracker.membership.voters())
    raft.logger.info(
        f"newRaft {raft.id:x} [peers: [{peers}], term: {raft.term}, commit: {log.committed}, "
        f"applied: {log.applied}, lastindex: {log.last_index}, lastterm: {log.last_term()}]"
    )
    return raft


def bootstrap(raft: Raft, peers: Sequence[tuple[int, bytes]]) -> None:
    """Begin the log of a new cluster: a committed conf change per (member id, context), the same on every member.

    They take effect at once, so that the node can campaign before it has applied them; applying them later changes
    nothing.
    """
    if not peers:
        raise ValueError("must provide at least one peer to bootstrap")
    if raft.log.last_index:
        raise InvariantError(f"cannot bootstrap a log that ends at {raft.log.last_index}")
    raft.become_follower(1, NO_MEMBER)
    entries: list[Entry] = []
    for index, (member, context) in enumerate(peers, start=1):
        change = raft_pb2.ConfChange(id=0, type=raft_pb2.ConfChangeAddNode, node_id=member, context=context)
        entry = encode_entry(change)
        entry.term = 1
        entry.index = index
        entries.append(entry)
    raft.log.append(entries)
    raft.log.committed = len(entries)
    for entry in entries:
        apply_conf_change(raft, decode_entry(entry))
