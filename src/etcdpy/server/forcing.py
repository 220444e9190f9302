"""--force-new-cluster: what is left of a member of a larger cluster becomes a cluster of its own.

The log is committed as it is, then one ConfChangeRemoveNode for each other member is appended and committed, too. The
others are gone for good after that, so the member decides alone.

Upstream discards what the log on disk does not know to be committed. Here the commit index on disk is a hint that may
lag behind what clients were told (see `server.member`), so everything is kept: an entry of unknown fate may be
committed, one that was acknowledged must be. Only what would remove this very member is dropped, with all behind it.

Upstream: etcdserver.restartAsStandaloneNode, createConfigChangeEnts.
"""

from __future__ import annotations

from typing import Final

from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, ConfState, Entry, HardState
from etcdpy.server.founding import encode_add_node
from etcdpy.state.members import Member

# What upstream writes for a member that its own log does not know: any address will do, for nobody is there to use it.
PLACEHOLDER_URLS: Final = ("http://localhost:2380", "http://localhost:7001")


class Forced:
    """The log of the member that goes on alone."""

    def __init__(
        self, *, kept: list[Entry], appended: list[Entry], hard_state: HardState, discarded_count: int
    ) -> None:
        self.kept = kept
        self.appended = appended  # Invariant: continues `kept`; to be made durable together with `hard_state`.
        self.hard_state = hard_state  # Invariant: everything is committed.
        self.discarded_count = discarded_count


def force_new_cluster(
    member_id: int, conf_state: ConfState, entries: list[Entry], hard_state: HardState, *, snapshot_index: int
) -> Forced:
    """Return what the log of `member_id` becomes; it begins after a snapshot whose members are in `conf_state`."""
    kept = _without_own_removal(member_id, entries, hard_state.commit)
    last_index = kept[-1].index if kept else snapshot_index
    # After an election that was lost, the term is newer than every entry.
    term = max(hard_state.term, 1)
    appended = [
        Entry(term, index, ENTRY_CONF_CHANGE, data)
        for index, data in enumerate(_changes(member_id, _collect_ids(conf_state, kept)), last_index + 1)
    ]
    return Forced(
        kept=kept,
        appended=appended,
        hard_state=HardState(term, hard_state.vote, last_index + len(appended)),
        discarded_count=len(entries) - len(kept),
    )


def _without_own_removal(member_id: int, entries: list[Entry], commit: int) -> list[Entry]:
    for position, entry in enumerate(entries):
        if entry.index > commit and entry.type == ENTRY_CONF_CHANGE:
            change = raft_pb2.ConfChange.FromString(entry.data)
            if change.type == raft_pb2.ConfChangeRemoveNode and change.node_id == member_id:
                return entries[:position]
    return entries


def _collect_ids(conf_state: ConfState, entries: list[Entry]) -> set[int]:
    ids = {*conf_state.voters, *conf_state.learners}
    for entry in entries:
        if entry.type != ENTRY_CONF_CHANGE:
            continue
        change = raft_pb2.ConfChange.FromString(entry.data)
        if change.type in (raft_pb2.ConfChangeAddNode, raft_pb2.ConfChangeAddLearnerNode):
            ids.add(change.node_id)
        elif change.type == raft_pb2.ConfChangeRemoveNode:
            ids.discard(change.node_id)
    return ids


def _changes(member_id: int, ids: set[int]) -> list[bytes]:
    changes = [
        raft_pb2.ConfChange(id=0, type=raft_pb2.ConfChangeRemoveNode, node_id=other).SerializeToString()
        for other in sorted(ids - {member_id})
    ]
    if member_id not in ids:
        changes.append(encode_add_node(Member(id=member_id, peer_urls=PLACEHOLDER_URLS)))
    return changes
