"""From files to a member: what a crash during the first start leaves, and files that do not belong together."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from etcdpy.base.ids import compute_cluster_id, compute_member_id
from etcdpy.base.invariant import StorageError
from etcdpy.pb import etcdserver_pb2
from etcdpy.pb.raft_values import ENTRY_NORMAL, Entry, HardState
from etcdpy.server.bootstrap import Folders, Recovered, check_backend, commit_applied, recover
from etcdpy.server.joining import Joining
from etcdpy.state.members import Member as ClusterMember
from etcdpy.storage.backend import Backend
from etcdpy.storage.wal import Wal
from tests.unit.server.spine import IDENTITY, Notes, open_spine, run, until

MEMBER_ID = compute_member_id(IDENTITY.initial_advertise_peer_urls, IDENTITY.initial_cluster_token)


def folders_in(directory: Path) -> Folders:
    return Folders(member=directory / "member", wal=directory / "member" / "wal")


def create_log(directory: Path, *, cluster_id: int | None = None) -> Wal:
    """A log as the first start makes it, before it writes anything into it."""
    folders_in(directory).make()
    cluster_id = compute_cluster_id([MEMBER_ID]) if cluster_id is None else cluster_id
    metadata = etcdserver_pb2.Metadata(NodeID=MEMBER_ID, ClusterID=cluster_id).SerializeToString()
    return Wal.create(str(folders_in(directory).wal), metadata)


def recover_and_close(directory: Path) -> Recovered:
    recovered = recover(folders_in(directory), IDENTITY)
    recovered.wal.close()
    return recovered


def test_a_new_member_and_its_restart_are_the_same(tmp_path: Path) -> None:
    new, again = recover_and_close(tmp_path), recover_and_close(tmp_path)

    assert (new.is_new, again.is_new) == (True, False)
    assert (new.member_id, new.cluster_id) == (again.member_id, again.cluster_id) == (MEMBER_ID, again.cluster_id)
    assert (new.entries, new.hard_state) == (again.entries, again.hard_state)


@pytest.mark.parametrize("has_entry", [False, True], ids=["before the entry", "before the term"])
def test_a_start_cut_off_before_its_first_record_is_begun_again(tmp_path: Path, has_entry: bool) -> None:
    expected = recover_and_close(tmp_path / "whole")
    wal = create_log(tmp_path)
    if has_entry:
        wal.persist(wal.encode(expected.entries, None))
    wal.close()

    for _ in range(2):
        recovered = recover_and_close(tmp_path)
        assert (recovered.entries, recovered.hard_state) == (expected.entries, expected.hard_state)


def test_the_member_of_a_start_that_was_cut_off_leads(tmp_path: Path) -> None:
    create_log(tmp_path).close()

    async def scenario() -> None:
        with open_spine(tmp_path) as spine:
            spine.driver.start(Notes(spine=spine))
            spine.driver.campaign_when_applied()
            await until(lambda: spine.member.is_leader)

    run(scenario())


def test_a_member_that_has_joined_and_heard_nothing_yet_waits_on(tmp_path: Path) -> None:
    joining = Joining(member_id=5, cluster_id=7, members=(ClusterMember(id=5, peer_urls=()),), remotes=())
    identity = dataclasses.replace(IDENTITY, joining=joining, is_founder=False)
    new = recover(folders_in(tmp_path), identity)
    new.wal.close()
    assert (new.is_new, new.members, new.is_alone) == (True, joining.members, False)

    # Whatever the flags say by now.
    for again in (IDENTITY, dataclasses.replace(IDENTITY, is_founder=False)):
        recovered = recover(folders_in(tmp_path), again)
        recovered.wal.close()
        assert (recovered.member_id, recovered.cluster_id, recovered.is_new) == (5, 7, False)
        assert (recovered.entries, recovered.hard_state, recovered.is_alone) == ([], HardState(), False)


def test_a_founder_that_lost_its_data_and_joined_again_does_not_found(tmp_path: Path) -> None:
    create_log(tmp_path).close()

    recovered = recover(folders_in(tmp_path), dataclasses.replace(IDENTITY, is_founder=False))
    recovered.wal.close()

    assert recovered.entries == []


THREE = {name: (f"http://127.0.0.1:2348{name}",) for name in "123"}
IDENTITY_OF_THREE = dataclasses.replace(
    IDENTITY, name="1", initial_advertise_peer_urls=THREE["1"], initial_cluster=THREE
)


@pytest.mark.parametrize("entry_count", range(4))
def test_a_founding_of_three_that_was_cut_off_is_begun_again(tmp_path: Path, entry_count: int) -> None:
    founding = IDENTITY_OF_THREE.founding()
    folders = folders_in(tmp_path)
    folders.make()
    metadata = etcdserver_pb2.Metadata(NodeID=founding.member_id, ClusterID=founding.cluster_id)
    wal = Wal.create(str(folders.wal), metadata.SerializeToString())
    wal.persist(wal.encode(founding.entries()[:entry_count], None))
    wal.close()

    for _ in range(2):
        recovered = recover(folders, IDENTITY_OF_THREE)
        recovered.wal.close()
        assert (recovered.entries, recovered.hard_state) == (founding.entries(), HardState(1, 0, 3))


def test_one_of_three_is_not_alone_until_it_is_forced(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    new = recover(folders, IDENTITY_OF_THREE)
    new.wal.close()
    assert (new.is_alone, [member.name for member in new.members]) == (
        False,
        [member.name for member in IDENTITY_OF_THREE.founding().members],
    )

    forced = recover(folders, IDENTITY_OF_THREE, is_forced=True)
    forced.wal.close()
    again = recover(folders, IDENTITY_OF_THREE)
    again.wal.close()

    assert (forced.is_alone, forced.is_forced, len(forced.entries)) == (True, True, 5)
    assert (again.entries, again.hard_state, again.is_alone) == (forced.entries, forced.hard_state, True)


def test_to_force_is_nothing_to_a_member_that_is_alone(tmp_path: Path) -> None:
    new = recover_and_close(tmp_path)

    forced = recover(folders_in(tmp_path), IDENTITY, is_forced=True)
    forced.wal.close()

    assert (forced.entries, forced.hard_state, forced.is_alone) == (new.entries, new.hard_state, True)


def test_an_unfinished_log_with_entries_of_others_is_not_completed(tmp_path: Path) -> None:
    wal = create_log(tmp_path)
    wal.persist(wal.encode([Entry(1, 1, ENTRY_NORMAL, b"?")], None))
    wal.close()

    with pytest.raises(StorageError, match="cut off"):
        recover_and_close(tmp_path)


def test_a_store_that_is_ahead_of_the_log_is_refused(tmp_path: Path) -> None:
    """Its next entries would be taken for applied already, and never be."""
    recover_and_close(tmp_path)
    backend = Backend.open(folders_in(tmp_path).member)
    backend.end_entry(5, 1)
    shutil.rmtree(folders_in(tmp_path).wal)

    try:
        with pytest.raises(StorageError, match="applied index 5, but the log ends at index 1"):
            check_backend(recover_and_close(tmp_path), backend)
    finally:
        backend.close()


def test_a_store_that_is_behind_the_snapshot_is_refused(tmp_path: Path) -> None:
    recovered = recover_and_close(tmp_path)
    recovered.snapshot.index = 9
    recovered.entries = []
    backend = Backend.open(folders_in(tmp_path).member)

    try:
        with pytest.raises(StorageError, match="applied index 0, but the log begins after the snapshot at index 9"):
            check_backend(recovered, backend)
    finally:
        backend.close()


def test_what_was_applied_counts_as_committed() -> None:
    assert commit_applied(HardState(3, 2, 5), 7) == HardState(3, 2, 7)
    assert commit_applied(HardState(3, 2, 5), 4) == HardState(3, 2, 5)
    assert commit_applied(HardState(), 0).is_empty()


def test_a_second_start_touches_nothing_of_the_member_that_runs(tmp_path: Path) -> None:
    """The files of a snapshot in the making look like what a crash leaves."""
    recover_and_close(tmp_path)
    running = recover(folders_in(tmp_path), IDENTITY)
    in_the_making = folders_in(tmp_path).snap / "0000000000000001-0000000000000001.snap.tmp"
    in_the_making.touch()

    with pytest.raises(StorageError, match="locked"):
        recover_and_close(tmp_path)

    assert in_the_making.exists()
    running.wal.close()
    recover_and_close(tmp_path)
    assert not in_the_making.exists()


def test_a_term_is_what_ends_the_founding(tmp_path: Path) -> None:
    """Once the log has one, it is taken as it is."""
    wal = create_log(tmp_path, cluster_id=7)
    wal.persist(wal.encode([Entry(1, 1, ENTRY_NORMAL, b"?")], HardState(1, 0, 1)))
    wal.close()

    assert recover_and_close(tmp_path).cluster_id == 7
