"""A data directory made from a snapshot: the first moment of a new cluster that begins with old data.

    snapshot file -> member/snap/db     its keys, leases, users; the new members; applied index and term begin anew
    members       -> member/snap/*.snap the v2 store with the members in it
                  -> member/wal         who we are, one ConfChangeAddNode per member, all committed in term 1

Every member of the new cluster restores the same snapshot with the same list of members, each under its own name. Both
we and etcd start from such a directory: we take the bbolt file over.

The log is written last: without it no member starts, so a restore that was cut off is not mistaken for a whole one. One
that fails removes what it made.

Upstream: etcdutl/snapshot/v3_snapshot.go. Newer than 3.5.1, it writes the new confState into the database, too, where
3.5.1 leaves that of the old cluster; so do we.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from etcdpy.base.ids import format_id
from etcdpy.base.invariant import StorageError
from etcdpy.pb import etcdserver_pb2
from etcdpy.pb.raft_values import ConfState, HardState, Snapshot
from etcdpy.server.founding import Founding
from etcdpy.state.members import Member
from etcdpy.state.members.roster import MEMBERS_PREFIX
from etcdpy.state.v2store import V2Store
from etcdpy.storage.bolt.reader import BoltReader, Item
from etcdpy.storage.bolt.rewrite import rewrite_bolt
from etcdpy.storage.schema import buckets, meta, records
from etcdpy.storage.snap import Snapshotter
from etcdpy.storage.wal import Wal, WalSnapshot, files

FIRST_TERM: Final = 1
# bbolt writes whole pages, so a size says whether the SHA-256 of the rest stands at the end.
SECTOR_BYTES: Final = 512
DIGEST_BYTES: Final = 32
HASH_CHUNK_BYTES: Final = 1024 * 1024


class SnapshotRefused(Exception):
    """The snapshot is not to be trusted; `str()` is etcd's text."""


def restore(
    snapshot: Path,
    founding: Founding,
    *,
    data_dir: Path,
    wal_dir: Path,
    check_hash: bool,
    on_database: Callable[[], None] = lambda: None,
    on_member: Callable[[Member], None] = lambda member: None,
) -> None:
    """Make `data_dir` and `wal_dir`, which must be empty or absent. Raise SnapshotRefused, StorageError or OSError.

    `on_database` and `on_member` are told when the database is written, and of each member.
    """
    check_digest(snapshot, check_hash=check_hash)
    made = _first_missing(data_dir / "member"), _first_missing(wal_dir)
    try:
        snap_dir = data_dir / "member" / "snap"
        for folder in (snap_dir, wal_dir.parent):
            _make_private(folder)
        _write_database(snapshot, snap_dir / "db", founding)
        on_database()
        point = _write_snap(snap_dir, founding, on_member)
        _write_log(wal_dir, founding, point)
    except BaseException:
        for path in made:
            shutil.rmtree(path, ignore_errors=True)
        raise


def check_digest(snapshot: Path, *, check_hash: bool) -> None:
    """Raise SnapshotRefused unless the SHA-256 at the file's end is that of the rest."""
    with open(snapshot, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        has_hash = size % SECTOR_BYTES == DIGEST_BYTES
        if not check_hash:
            return
        if not has_hash:
            raise SnapshotRefused("snapshot missing hash but --skip-hash-check=false")
        digest = hashlib.sha256()
        left = size - DIGEST_BYTES
        while left and (chunk := file.read(min(left, HASH_CHUNK_BYTES))):
            digest.update(chunk)
            left -= len(chunk)
        expected = file.read(DIGEST_BYTES)
    if digest.digest() != expected:
        raise SnapshotRefused(f"expected sha256 {_as_list(expected)}, got {_as_list(digest.digest())}")


def _as_list(digest: bytes) -> str:
    return "[" + " ".join(map(str, digest)) + "]"


def _write_database(snapshot: Path, target: Path, founding: Founding) -> None:
    with BoltReader(snapshot) as reader:
        names = buckets.NAMES
        known = {key: value for items in reader.iterate(names[buckets.META]) for key, value in items}
        known[meta.CONSISTENT_INDEX] = meta.encode_u64(len(founding.members))
        known[meta.TERM] = meta.encode_u64(FIRST_TERM)
        known[meta.CONF_STATE] = meta.encode_conf_state(_conf_state(founding))
        members: list[Item] = [
            (records.encode_member_id(member.id), member.to_json().encode()) for member in founding.members
        ]
        replaced = {
            names[buckets.META]: sorted(known.items()),
            names[buckets.MEMBERS]: sorted(members),
            names[buckets.MEMBERS_REMOVED]: [],
        }
        rewrite_bolt(reader, target, replaced)
    files.sync_directory(os.fspath(target.parent))


def _write_snap(snap_dir: Path, founding: Founding, on_member: Callable[[Member], None]) -> Snapshot:
    v2store = V2Store()
    for member in founding.members:
        v2store.create(f"{MEMBERS_PREFIX}/{format_id(member.id)}/raftAttributes", member.raft_attributes_json())
        on_member(member)
    point = Snapshot(v2store.save(), len(founding.members), FIRST_TERM, _conf_state(founding))
    Snapshotter(os.fspath(snap_dir)).save(point)
    return point


def _write_log(wal_dir: Path, founding: Founding, point: Snapshot) -> None:
    metadata = etcdserver_pb2.Metadata(NodeID=founding.member_id, ClusterID=founding.cluster_id)
    entries = founding.entries()
    hard_state = HardState(FIRST_TERM, founding.members[0].id, len(entries))
    wal = Wal.create(os.fspath(wal_dir), metadata.SerializeToString())
    try:
        wal.persist(wal.encode(entries, hard_state))
        wal.persist(wal.encode_snapshot(WalSnapshot(point.index, point.term, point.conf_state)))
    finally:
        wal.close()


def _conf_state(founding: Founding) -> ConfState:
    return ConfState([member.id for member in founding.members])


def _first_missing(path: Path) -> Path:
    """Return the topmost folder of `path` that is not there: what to remove to leave nothing behind."""
    while not path.parent.exists():
        path = path.parent
    if path.exists():
        raise StorageError(f"{path} exists already")
    return path


def _make_private(folder: Path) -> None:
    """Make a folder and those above it that are missing, for the owner's eyes only."""
    missing = [folder, *folder.parents]
    for path in reversed([path for path in missing if not path.exists()]):
        path.mkdir(mode=0o700, exist_ok=True)
        files.sync_directory(os.fspath(path.parent))
