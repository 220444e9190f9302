"""Bootstrap: from a data directory, or from nothing, to a member that can be driven.

    founding   WAL with one ConfChangeAddNode for each member of the new cluster, term 1 (see `server.founding`)
    joining    WAL with the ids that the cluster gave, and an empty log: a leader will fill it (see `server.joining`)
    restart    newest .snap that the WAL knows -> v2 store, roster; backend at its own index; WAL after the snapshot
    take-over  a bbolt `db` of a Go member and no store of ours: imported first, then as a restart
    forced     a restart, after which the member is alone (see `server.forcing`)

A new member is made by writing what a restart would find, so there is one way into life, not two. A founding that was
cut off between making the log and writing its first term is begun again: nobody was told anything by then. Replayed
entries reach the v2 store and the roster again; the backend skips those at or below its consistent index.

Nobody is asked anything here; what must be asked first is in `Identity`.

Upstream: server/etcdserver/bootstrap.go, raft.go (startNode, restartNode).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from etcdpy.base.invariant import StorageError
from etcdpy.pb import etcdserver_pb2, raft_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, Entry, HardState, Snapshot
from etcdpy.server.forcing import force_new_cluster
from etcdpy.server.founding import Founding, plan_founding
from etcdpy.server.joining import Joining
from etcdpy.state.members import Member as ClusterMember
from etcdpy.state.v2store import V2Store
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets, meta
from etcdpy.storage.snap import Snapshotter
from etcdpy.storage.wal import Wal, WalContents, WalSnapshot, valid_snapshot_entries
from etcdpy.storage.wal.names import list_segments

AUTH_REVISION_KEY: Final = b"authRevision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What makes a new member who it is. A restarted one reads its ids from the WAL."""

    name: str
    initial_advertise_peer_urls: tuple[str, ...]
    initial_cluster_token: str
    # Peer URLs by name of those who found the cluster; empty: this member alone. Invariant: `name` is among them.
    initial_cluster: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    joining: Joining | None = None  # The place in a cluster that exists; None for a founder, and on a restart.
    is_founder: bool = True  # False: an empty log waits for a leader of the cluster that was joined.

    def founding(self) -> Founding:
        """Return the cluster that this member would found."""
        members = self.initial_cluster or {self.name: self.initial_advertise_peer_urls}
        return plan_founding(members, self.name, self.initial_cluster_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where a member keeps its files: `<data-dir>/member/{wal,snap,store}`; the WAL may live elsewhere."""

    member: Path
    wal: Path

    @property
    def snap(self) -> Path:
        return self.member / "snap"

    def make(self) -> None:
        """Create what is missing, for the owner's eyes only."""
        for folder in (self.member.parent, self.member, self.snap):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@dataclass(slots=True, kw_only=True)
class Recovered:
    """Everything that a member starts from."""

    member_id: int
    cluster_id: int
    wal: Wal
    snapshotter: Snapshotter
    snapshot: Snapshot  # empty when there is none
    hard_state: HardState
    entries: list[Entry]  # the log after the snapshot
    v2store: V2Store
    is_new: bool
    members: tuple[ClusterMember, ...] = ()  # of a new member's cluster; a restarted one finds them in its roster
    remotes: tuple[ClusterMember, ...] = ()  # who was asked on joining: they will send to us before we know them
    is_forced: bool = False
    discarded_count: int = 0  # entries that a forced restart dropped

    @property
    def is_alone(self) -> bool:
        """Whether this member, when it has applied its whole log, is the only one that votes."""
        voters = set(self.snapshot.conf_state.voters)
        for entry in self.entries:
            if entry.type != ENTRY_CONF_CHANGE:
                continue
            change = raft_pb2.ConfChange.FromString(entry.data)
            if change.type == raft_pb2.ConfChangeAddNode:
                voters.add(change.node_id)
            elif change.type in (raft_pb2.ConfChangeRemoveNode, raft_pb2.ConfChangeAddLearnerNode):
                voters.discard(change.node_id)
        return voters == {self.member_id}


def recover(
    folders: Folders, identity: Identity, *, unsafe_no_fsync: bool = False, is_forced: bool = False
) -> Recovered:
    """Return the member that `folders` hold; make the new one that `identity` describes where they hold none.

    `is_forced` makes the member of a larger cluster one that is alone. Raises StorageError where the files are not to
    be trusted.
    """
    folders.make()
    snapshotter = Snapshotter(str(folders.snap))
    if not list_segments(str(folders.wal)):
        if identity.joining is not None:
            return _join(folders, snapshotter, identity.joining, unsafe_no_fsync)
        return _found(folders, snapshotter, identity.founding(), unsafe_no_fsync)
    recovered = _restart(folders, snapshotter, identity, unsafe_no_fsync)
    if is_forced:
        try:
            _force(recovered)
        except BaseException:
            recovered.wal.close()
            raise
    return recovered


def prepare_backend(backend: Backend) -> None:
    """Write what every store of etcd holds from its first start on: the auth revision counts from 1."""
    if backend.get(buckets.AUTH, AUTH_REVISION_KEY) is None:
        backend.put(buckets.AUTH, AUTH_REVISION_KEY, meta.encode_u64(1))
        backend.end_batch()


def check_backend(recovered: Recovered, backend: Backend) -> None:
    """Raise StorageError when log and backend cannot be those of one member.

    Older than the snapshot that the log begins with, the backend lacks entries that nobody has any more. Newer than the
    log's end, it would skip the next entries as applied already: it is another log's.
    """
    last_index = recovered.entries[-1].index if recovered.entries else recovered.snapshot.index
    if backend.consistent_index > last_index:
        raise StorageError(
            f"the store has applied index {backend.consistent_index}, but the log ends at index {last_index}: "
            "they do not belong together, or the log was lost"
        )
    if backend.consistent_index < recovered.snapshot.index:
        raise StorageError(
            f"the store has applied index {backend.consistent_index}, but the log begins after the snapshot at "
            f"index {recovered.snapshot.index}: the entries between are gone"
        )


def commit_applied(hard_state: HardState, consistent_index: int) -> HardState:
    """Return the hard state from which raft starts: what was applied was committed, though the log may not say so yet.

    So the first turn brings configuration and v2 store to where the database stands. Until then the three would not be
    the state of one index, and no snapshot may be made of them.
    """
    return HardState(hard_state.term, hard_state.vote, max(hard_state.commit, consistent_index))


def _found(folders: Folders, snapshotter: Snapshotter, founding: Founding, unsafe_no_fsync: bool) -> Recovered:
    wal = _create_wal(folders, founding.member_id, founding.cluster_id, unsafe_no_fsync)
    entries = founding.entries()
    try:
        hard_state = _write_founding(wal, founding, entries)
    except BaseException:
        wal.close()
        raise
    return Recovered(
        member_id=founding.member_id,
        cluster_id=founding.cluster_id,
        wal=wal,
        snapshotter=snapshotter,
        snapshot=Snapshot(),
        hard_state=hard_state,
        entries=entries,
        v2store=V2Store(),
        is_new=True,
        members=founding.members,
    )


def _join(folders: Folders, snapshotter: Snapshotter, joining: Joining, unsafe_no_fsync: bool) -> Recovered:
    return Recovered(
        member_id=joining.member_id,
        cluster_id=joining.cluster_id,
        wal=_create_wal(folders, joining.member_id, joining.cluster_id, unsafe_no_fsync),
        snapshotter=snapshotter,
        snapshot=Snapshot(),
        hard_state=HardState(),
        entries=[],
        v2store=V2Store(),
        is_new=True,
        members=joining.members,
        remotes=joining.remotes,
    )


def _create_wal(folders: Folders, member_id: int, cluster_id: int, unsafe_no_fsync: bool) -> Wal:
    metadata = etcdserver_pb2.Metadata(NodeID=member_id, ClusterID=cluster_id).SerializeToString()
    return Wal.create(str(folders.wal), metadata, unsafe_no_fsync=unsafe_no_fsync)


def _write_founding(wal: Wal, founding: Founding, entries: list[Entry]) -> HardState:
    """Make the founding durable: it is committed from the beginning. `entries` are those that the log lacks."""
    hard_state = founding.hard_state()
    wal.persist(wal.encode(entries, hard_state))
    return hard_state


def _restart(folders: Folders, snapshotter: Snapshotter, identity: Identity, unsafe_no_fsync: bool) -> Recovered:
    snapshot = snapshotter.load_newest_available(valid_snapshot_entries(str(folders.wal))) or Snapshot()
    v2store = V2Store()
    if not snapshot.is_empty():
        v2store.recovery(snapshot.data)
    wal, contents = Wal.open(
        str(folders.wal), WalSnapshot(index=snapshot.index, term=snapshot.term), unsafe_no_fsync=unsafe_no_fsync
    )
    # Only now, that the log is locked: they may be the files on which a running member works.
    snapshotter.remove_orphans()
    metadata = etcdserver_pb2.Metadata.FromString(contents.metadata)
    if contents.hard_state.is_empty():
        try:
            _finish_founding(wal, contents, metadata, identity)
        except BaseException:
            wal.close()
            raise
    return Recovered(
        member_id=metadata.NodeID,
        cluster_id=metadata.ClusterID,
        wal=wal,
        snapshotter=snapshotter,
        snapshot=snapshot,
        hard_state=contents.hard_state,
        entries=contents.entries,
        v2store=v2store,
        is_new=False,
    )


def _finish_founding(wal: Wal, contents: WalContents, metadata: etcdserver_pb2.Metadata, identity: Identity) -> None:
    """Complete a founding that was cut off before the log had a term: `contents` are brought up to it.

    A member that joined and has not heard of a leader yet has no term either, and waits on. Its ids are not those that
    a founder would have: of the cluster's id or of its own, one is older or younger than its flags.
    """
    founding = identity.founding()
    is_founder = (metadata.NodeID, metadata.ClusterID) == (founding.member_id, founding.cluster_id)
    if not contents.entries and not (identity.is_founder and is_founder):
        return
    entries = founding.entries()
    count = len(contents.entries)
    if not is_founder or contents.entries != entries[:count]:
        raise StorageError(f"wal: {wal.directory} was begun by a start that was cut off; remove it and start again")
    contents.hard_state = _write_founding(wal, founding, entries[count:])
    contents.entries = entries


def _force(recovered: Recovered) -> None:
    """Make `recovered` a member that is alone, on disk and in memory."""
    forced = force_new_cluster(
        recovered.member_id,
        recovered.snapshot.conf_state,
        recovered.entries,
        recovered.hard_state,
        snapshot_index=recovered.snapshot.index,
    )
    recovered.wal.persist(recovered.wal.encode(forced.appended, forced.hard_state))
    recovered.entries = forced.kept + forced.appended
    recovered.hard_state = forced.hard_state
    recovered.is_forced = True
    recovered.discarded_count = forced.discarded_count
