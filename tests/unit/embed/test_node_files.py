"""What a node takes from its files: most of all the store, when the log has got ahead of it by a leader's snapshot."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.base.log import silent_logger
from etcdpy.embed.node_files import fill_raft_storage, open_backend
from etcdpy.pb.raft_values import ConfState, Entry, HardState, Snapshot
from etcdpy.server.bootstrap import Folders, Recovered, check_backend, recover
from etcdpy.state.v2store import V2Store
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema.buckets import AUTH
from etcdpy.storage.wal import WalSnapshot
from tests.unit.embed.open_node import make_config
from tests.unit.server.spine import IDENTITY

AT = 40
KEY = b"key"


def bolt_file(path: Path, *, index: int) -> Path:
    """A database file of a leader that had applied `index`."""
    leader = Backend.open(path.with_suffix(".store"))
    leader.put(AUTH, KEY, b"of the leader")
    leader.end_entry(index, 3)
    job = leader.start_export(path)
    while not job.poll():
        leader.poll(0.0)
    leader.close()
    return path


def prepare(directory: Path, *, noted: int = AT) -> Folders:
    """A member whose store is at entry 1, and whose log notes a snapshot at `noted` as committed."""
    folders = Folders(member=directory / "data" / "member", wal=directory / "data" / "member" / "wal")
    made = recover(folders, IDENTITY)
    store = Backend.open(folders.member)
    store.put(AUTH, KEY, b"old")
    store.end_entry(1, 1)
    store.close()
    if noted:
        conf_state = ConfState([made.member_id])
        made.snapshotter.save(Snapshot(V2Store().save(), noted, 3, conf_state))
        made.wal.persist(made.wal.encode_snapshot(WalSnapshot(noted, 3, conf_state)))
        made.wal.persist(made.wal.encode([], HardState(3, 0, noted)))
    made.wal.close()
    return folders


@contextmanager
def started(directory: Path, folders: Folders) -> Iterator[tuple[Recovered, Backend]]:
    recovered = recover(folders, IDENTITY)
    try:
        backend = open_backend(make_config(directory), folders, recovered, silent_logger(), lambda: None)
        try:
            yield recovered, backend
        finally:
            backend.close()
    finally:
        recovered.wal.close()


def received(folders: Folders, directory: Path, *, index: int = AT, named: int = AT) -> Path:
    return Path(shutil.copy(bolt_file(directory / "sent.db", index=index), folders.snap / f"{named:016x}.snap.db"))


def test_a_received_snapshot_is_taken_over_where_the_store_is_behind_the_log(tmp_path: Path) -> None:
    folders = prepare(tmp_path)
    received(folders, tmp_path)
    for _ in range(2):  # and again, when there is nothing left to do
        with started(tmp_path, folders) as (recovered, backend):
            assert (backend.get(AUTH, KEY), backend.consistent_index, backend.term) == (b"of the leader", AT, 3)
            check_backend(recovered, backend)


def test_a_store_that_is_not_behind_is_left_alone(tmp_path: Path) -> None:
    """The file stays for a while after the installation; by then the store has gone on."""
    folders = prepare(tmp_path)
    received(folders, tmp_path)
    with started(tmp_path, folders) as (_, backend):
        backend.put(AUTH, KEY, b"later")
        backend.end_entry(AT + 1, 3)
    with started(tmp_path, folders) as (_, backend):
        assert (backend.get(AUTH, KEY), backend.consistent_index) == (b"later", AT + 1)


def test_a_file_that_the_log_does_not_note_is_none_of_it(tmp_path: Path) -> None:
    folders = prepare(tmp_path, noted=0)
    received(folders, tmp_path)
    with started(tmp_path, folders) as (recovered, backend):
        assert (backend.get(AUTH, KEY), backend.consistent_index) == (b"old", 1)
        assert recovered.snapshot.is_empty()


def test_a_file_of_another_snapshot_does_not_help(tmp_path: Path) -> None:
    folders = prepare(tmp_path)
    received(folders, tmp_path, index=AT - 1, named=AT - 1)
    with started(tmp_path, folders) as (recovered, backend):
        assert backend.get(AUTH, KEY) == b"old"
        with pytest.raises(StorageError, match="the entries between are gone"):
            check_backend(recovered, backend)


def test_a_damaged_file_is_refused_and_the_store_stays(tmp_path: Path) -> None:
    folders = prepare(tmp_path)
    path = received(folders, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(b"\0" * len(whole))
    with pytest.raises(StorageError), started(tmp_path, folders):
        raise AssertionError("it was opened")
    store = Backend.open(folders.member)
    assert store.get(AUTH, KEY) == b"old"
    store.close()

    path.write_bytes(whole)
    with started(tmp_path, folders) as (_, backend):
        assert backend.get(AUTH, KEY) == b"of the leader"


def test_raft_s_log_is_what_was_recovered(tmp_path: Path) -> None:
    folders = prepare(tmp_path)
    recovered = recover(folders, IDENTITY)
    recovered.wal.close()
    recovered.entries = [Entry(3, AT + 1), Entry(3, AT + 2)]
    storage = fill_raft_storage(recovered)

    assert (storage.first_index(), storage.last_index(), storage.term(AT)) == (AT + 1, AT + 2, 3)
    hard_state, conf_state = storage.initial_state()
    assert (hard_state.commit, conf_state.voters) == (AT, [recovered.member_id])


def test_a_new_member_s_log_in_memory_is_its_founding(tmp_path: Path) -> None:
    folders = Folders(member=tmp_path / "member", wal=tmp_path / "member" / "wal")
    recovered = recover(folders, IDENTITY)
    recovered.wal.close()
    storage = fill_raft_storage(recovered)

    assert (storage.first_index(), storage.last_index()) == (1, len(recovered.entries))
