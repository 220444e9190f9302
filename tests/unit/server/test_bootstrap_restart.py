"""Bootstrap: who a new member is, what a restart begins with, and folders that must be refused."""

from __future__ import annotations

import dataclasses
import stat
from pathlib import Path

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.pb import etcdserver_pb2, raft_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, ConfState, Entry, HardState, Snapshot
from etcdpy.server.bootstrap import Folders, Recovered, check_backend, prepare_backend, recover
from etcdpy.state.members import Member
from etcdpy.state.v2store import V2Store
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets
from etcdpy.storage.snap import Snapshotter
from etcdpy.storage.wal import Wal, WalSnapshot
from tests.unit.server.spine import IDENTITY

# What a running etcd 3.5.1 gives itself for the peer URL and the token of IDENTITY.
MEMBER_ID = 0xD46C78F094AE4BDA
CLUSTER_ID = 0xAA60E965F8E2BDA6


def folders_in(directory: Path) -> Folders:
    return Folders(member=directory / "data" / "member", wal=directory / "data" / "member" / "wal")


def recover_and_close(folders: Folders) -> Recovered:
    recovered = recover(folders, IDENTITY)
    recovered.wal.close()
    return recovered


def write_log(folders: Folders, entries: list[Entry], hard_state: HardState) -> None:
    wal, _ = Wal.open(str(folders.wal), WalSnapshot())
    wal.persist(wal.encode(entries, hard_state))
    wal.close()


def note_snapshot(folders: Folders, snapshot: Snapshot) -> None:
    wal, _ = Wal.open(str(folders.wal), WalSnapshot())
    wal.persist(wal.encode_snapshot(WalSnapshot(snapshot.index, snapshot.term, snapshot.conf_state)))
    wal.close()


def snapshot_at(index: int) -> Snapshot:
    v2store = V2Store()
    v2store.set("/0/version", f"3.5.{index}")
    return Snapshot(v2store.save(), index, 2, ConfState([MEMBER_ID]))


def member_with_five_entries(tmp_path: Path) -> Folders:
    folders = folders_in(tmp_path)
    recover_and_close(folders)
    write_log(folders, [Entry(2, index, data=b"x") for index in range(2, 6)], HardState(2, MEMBER_ID, 5))
    return folders


def test_a_new_member_has_the_ids_that_the_real_etcd_gives_it(tmp_path: Path) -> None:
    recovered = recover_and_close(folders_in(tmp_path))

    assert (f"{recovered.member_id:x}", f"{recovered.cluster_id:x}") == ("d46c78f094ae4bda", "aa60e965f8e2bda6")
    assert recovered.is_new


def test_another_token_makes_another_cluster(tmp_path: Path) -> None:
    other = dataclasses.replace(IDENTITY, initial_cluster_token="other")
    recovered = recover(folders_in(tmp_path), other)
    recovered.wal.close()

    assert recovered.member_id != MEMBER_ID and recovered.cluster_id != CLUSTER_ID


def test_a_new_members_log_adds_itself(tmp_path: Path) -> None:
    recovered = recover_and_close(folders_in(tmp_path))

    (entry,) = recovered.entries
    assert (entry.term, entry.index, entry.type) == (1, 1, ENTRY_CONF_CHANGE)
    change = raft_pb2.ConfChange.FromString(entry.data)
    assert (change.type, change.node_id) == (raft_pb2.ConfChangeAddNode, MEMBER_ID)
    expected = Member(id=MEMBER_ID, peer_urls=("http://127.0.0.1:23480",), name="default")
    assert Member.from_json(change.context) == expected
    assert recovered.hard_state == HardState(1, 0, 1)
    assert recovered.snapshot.is_empty()


def test_what_a_restart_finds_is_what_the_new_member_was_given(tmp_path: Path) -> None:
    """There is one way into life: a member that was never driven is restarted as it was made."""
    first = recover_and_close(folders_in(tmp_path))
    second = recover_and_close(folders_in(tmp_path))

    assert (second.member_id, second.cluster_id) == (first.member_id, first.cluster_id)
    assert (second.entries, second.hard_state) == (first.entries, first.hard_state)
    assert first.is_new and not second.is_new


def test_a_restart_believes_the_log_and_not_the_flags(tmp_path: Path) -> None:
    recover_and_close(folders_in(tmp_path))
    renamed = dataclasses.replace(IDENTITY, name="other", initial_advertise_peer_urls=("http://other:1",))
    recovered = recover(folders_in(tmp_path), renamed)
    recovered.wal.close()

    assert (recovered.member_id, recovered.cluster_id) == (MEMBER_ID, CLUSTER_ID)


def test_folders_are_for_the_owners_eyes_only(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    recover_and_close(folders)

    for folder in (folders.member.parent, folders.member, folders.snap, folders.wal):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder


def test_the_log_may_live_elsewhere(tmp_path: Path) -> None:
    folders = Folders(member=tmp_path / "data" / "member", wal=tmp_path / "fast" / "wal")
    folders.wal.parent.mkdir()
    recover_and_close(folders)

    assert list(folders.wal.glob("*.wal")) and not (folders.member / "wal").exists()
    assert not recover_and_close(folders).is_new


def test_a_member_lives_in_its_folders_once(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    recovered = recover(folders, IDENTITY)
    try:
        with pytest.raises(StorageError):
            recover(folders, IDENTITY)
    finally:
        recovered.wal.close()


def test_a_restart_begins_after_the_newest_snapshot_that_the_log_knows(tmp_path: Path) -> None:
    folders = member_with_five_entries(tmp_path)
    for index in (3, 4):
        Snapshotter(str(folders.snap)).save(snapshot_at(index))
        note_snapshot(folders, snapshot_at(index))
    Snapshotter(str(folders.snap)).save(snapshot_at(5))  # crash: no record of it

    recovered = recover_and_close(folders)

    assert recovered.snapshot.index == 4
    assert recovered.v2store.find_value("/0/version") == "3.5.4"
    assert [entry.index for entry in recovered.entries] == [5]
    assert recovered.hard_state == HardState(2, MEMBER_ID, 5)


def test_a_broken_snapshot_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    folders = member_with_five_entries(tmp_path)
    for index in (3, 4):
        Snapshotter(str(folders.snap)).save(snapshot_at(index))
        note_snapshot(folders, snapshot_at(index))
    newest = max(folders.snap.glob("*.snap"))
    newest.write_bytes(newest.read_bytes()[:-1])

    recovered = recover_and_close(folders)

    assert recovered.snapshot.index == 3
    assert [entry.index for entry in recovered.entries] == [4, 5]


def test_leftovers_of_unfinished_steps_are_removed(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    recover_and_close(folders)
    for name in ("0000000000000002-0000000000000005.snap.tmp", "db.tmp.12", "tmp123"):
        (folders.snap / name).write_bytes(b"half")
    recover_and_close(folders)

    assert list(folders.snap.iterdir()) == []


def test_a_log_without_its_beginning_is_refused(tmp_path: Path) -> None:
    folders = member_with_five_entries(tmp_path)
    (segment,) = folders.wal.glob("*.wal")
    segment.rename(folders.wal / "0000000000000001-0000000000000009.wal")

    with pytest.raises(StorageError):
        recover(folders, IDENTITY)


def test_a_store_that_is_older_than_the_snapshot_is_refused(tmp_path: Path) -> None:
    """The entries between are in no log any more: to go on would lose them."""
    folders = member_with_five_entries(tmp_path)
    Snapshotter(str(folders.snap)).save(snapshot_at(4))
    note_snapshot(folders, snapshot_at(4))
    recovered = recover_and_close(folders)
    backend = Backend.open(folders.member)
    try:
        backend.end_entry(3, 2)
        with pytest.raises(StorageError, match="applied index 3, but .* index 4"):
            check_backend(recovered, backend)
        backend.end_entry(4, 2)
        check_backend(recovered, backend)
    finally:
        backend.close()


def test_every_store_counts_auth_revisions_from_one(tmp_path: Path) -> None:
    for _ in range(2):
        backend = Backend.open(tmp_path)
        prepare_backend(backend)
        assert backend.get(buckets.AUTH, b"authRevision") == (1).to_bytes(8, "big")
        backend.close()


def test_an_auth_revision_that_is_there_is_kept(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    backend.put(buckets.AUTH, b"authRevision", (9).to_bytes(8, "big"))
    backend.end_entry(1, 1)
    prepare_backend(backend)

    assert backend.get(buckets.AUTH, b"authRevision") == (9).to_bytes(8, "big")
    backend.close()


def test_the_logs_metadata_names_the_member_and_the_cluster(tmp_path: Path) -> None:
    recovered = recover_and_close(folders_in(tmp_path))

    metadata = etcdserver_pb2.Metadata.FromString(recovered.wal.metadata)
    assert (metadata.NodeID, metadata.ClusterID) == (MEMBER_ID, CLUSTER_ID)
