"""Bootstrap: from a data directory, or from nothing, to a member that can be driven.

    fresh      member id from the peer URLs, cluster id from the member ids, WAL with one ConfChangeAddNode, term 1
    restart    newest .snap that the WAL knows -> v2 store, roster; backend at its own index; WAL after the snapshot
    take-over  a bbolt `db` of a Go member and no store of ours: imported first, then as a restart

A fresh member is made by writing what a restart would find, so there is one way into life, not two. A start that was
cut off between making the log and writing its first term is begun again: nobody was told anything by then. Replayed
entries reach the v2 store and the roster again; the backend skips those at or below its consistent index.

Upstream: server/etcdserver/bootstrap.go, raft.go (startNode, restartNode).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etcdpy.base.ids import compute_cluster_id, compute_member_id
from etcdpy.base.invariant import StorageError
from etcdpy.pb import etcdserver_pb2, raft_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, Entry, HardState, Snapshot
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


def recover(folders: Folders, identity: Identity, *, unsafe_no_fsync: bool = False) -> Recovered:
    """Return the member that `folders` hold; make a new one of a one-member cluster where they hold none.

    Raises StorageError where the files are not to be trusted.
    """
    folders.make()
    snapshotter = Snapshotter(str(folders.snap))
    if list_segments(str(folders.wal)):
        return _restart(folders, snapshotter, identity, unsafe_no_fsync)
    return _start(folders, snapshotter, identity, unsafe_no_fsync)


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


def _start(folders: Folders, snapshotter: Snapshotter, identity: Identity, unsafe_no_fsync: bool) -> Recovered:
    urls = identity.initial_advertise_peer_urls
    member_id = compute_member_id(urls, identity.initial_cluster_token)
    cluster_id = compute_cluster_id([member_id])
    metadata = etcdserver_pb2.Metadata(NodeID=member_id, ClusterID=cluster_id).SerializeToString()
    wal = Wal.create(str(folders.wal), metadata, unsafe_no_fsync=unsafe_no_fsync)
    entry = _founding_entry(member_id, identity)
    hard_state = _write_founding(wal, [entry])
    return Recovered(
        member_id=member_id,
        cluster_id=cluster_id,
        wal=wal,
        snapshotter=snapshotter,
        snapshot=Snapshot(),
        hard_state=hard_state,
        entries=[entry],
        v2store=V2Store(),
        is_new=True,
    )


def _founding_entry(member_id: int, identity: Identity) -> Entry:
    """Return the first entry of a cluster of one: the member joins it."""
    urls = tuple(sorted(identity.initial_advertise_peer_urls))
    myself = ClusterMember(id=member_id, peer_urls=urls, name=identity.name)
    return Entry(1, 1, ENTRY_CONF_CHANGE, _encode_add_node(myself))


def _write_founding(wal: Wal, entries: list[Entry]) -> HardState:
    """Make the founding durable: it is committed from the beginning."""
    hard_state = HardState(term=1, vote=0, commit=1)
    wal.persist(wal.encode(entries, hard_state))
    return hard_state


def _encode_add_node(member: ClusterMember) -> bytes:
    return raft_pb2.ConfChange(
        id=0, type=raft_pb2.ConfChangeAddNode, node_id=member.id, context=member.to_json().encode()
    ).SerializeToString()


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
    """Complete a start that was cut off before the log had a term: `contents` are brought up to it."""
    entry = _founding_entry(metadata.NodeID, identity)
    if metadata.ClusterID != compute_cluster_id([metadata.NodeID]) or contents.entries not in ([], [entry]):
        raise StorageError(f"wal: {wal.directory} was begun by a start that was cut off; remove it and start again")
    contents.hard_state = _write_founding(wal, [] if contents.entries else [entry])
    contents.entries = [entry]
