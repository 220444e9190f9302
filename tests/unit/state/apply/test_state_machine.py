"""Everything that entries change, read anew: each part holds what it would hold after a restart."""

from __future__ import annotations

from pathlib import Path

from etcdpy.pb import rpc_pb2
from etcdpy.pb.raft_values import ConfState, Snapshot
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.state_machine import StateMachine
from etcdpy.state.members import Member
from etcdpy.storage.backend import Backend
from etcdpy.storage.bolt.takeover import build_generation
from tests.unit.state.apply.machine import MEMBER, Machine, open_machine

OTHER = Member(id=0x0E, peer_urls=("http://127.0.0.1:2390",), name="other")
LEASE_ID = 77


def make_leader(directory: Path) -> tuple[Path, Snapshot, int]:
    """Return a database file, the snapshot that goes with it, and its revision."""
    with open_machine(directory) as leader:
        leader.add_member()
        leader.add_member(OTHER)
        leader.apply(kinds.LEASE_GRANT, rpc_pb2.LeaseGrantRequest(ID=LEASE_ID, TTL=600))
        for number in range(10):
            leader.apply(kinds.PUT, rpc_pb2.PutRequest(key=b"k", value=b"%d" % number, lease=LEASE_ID))
        leader.apply(
            kinds.ALARM,
            rpc_pb2.AlarmRequest(action=rpc_pb2.AlarmRequest.ACTIVATE, memberID=OTHER.id, alarm=rpc_pb2.NOSPACE),
        )
        path = directory / "sent.db"
        job = leader.backend.start_export(path)
        while not job.poll():
            leader.backend.poll(0.0)
        snapshot = Snapshot(leader.v2store.save(), leader.index, 2, ConfState([MEMBER.id, OTHER.id]))
        return path, snapshot, leader.store.current_revision


def install(backend: Backend, path: Path) -> None:
    job = backend.start_install(lambda store: build_generation(store, path), lambda reader: None)
    while not job.is_built():
        backend.poll(0.0)
    job.switch()
    while not job.poll():
        backend.poll(0.0)


def as_one(machine: Machine) -> StateMachine:
    return StateMachine(
        store=machine.store,
        lessor=machine.lessor,
        alarms=machine.alarms,
        roster=machine.roster,
        v2store=machine.v2store,
        applier=machine.applier,
    )


def test_every_part_holds_what_the_snapshot_brought(tmp_path: Path) -> None:
    path, snapshot, revision = make_leader(tmp_path / "leader")
    with open_machine(tmp_path / "follower") as ours:
        ours.add_member()
        ours.apply(kinds.LEASE_GRANT, rpc_pb2.LeaseGrantRequest(ID=5, TTL=600))
        ours.apply(kinds.PUT, rpc_pb2.PutRequest(key=b"mine", value=b"x", lease=5))
        install(ours.backend, path)
        as_one(ours).restore(ours.backend, snapshot)

        assert ours.store.current_revision == revision
        assert (ours.lessor.keys_of(LEASE_ID), ours.lessor.exists(5)) == ([b"k"], False)
        assert [one.memberID for one in ours.alarms.list_alarms()] == [OTHER.id]
        assert sorted(member.id for member in ours.roster.get_members()) == sorted([MEMBER.id, OTHER.id])
        assert (ours.applier.consistent_index, ours.applier.term) == (snapshot.index, snapshot.term)
        ours.lessor.check_invariants()


def test_the_entry_after_it_is_applied_and_those_in_it_are_not(tmp_path: Path) -> None:
    """Also: the alarm that it brought is in force at once."""
    path, snapshot, revision = make_leader(tmp_path / "leader")
    with open_machine(tmp_path / "follower") as ours:
        install(ours.backend, path)
        as_one(ours).restore(ours.backend, snapshot)
        ours.index = snapshot.index - 1
        delete = rpc_pb2.DeleteRangeRequest(key=b"k")
        ours.applier.apply_entry(ours.entry(kinds.DELETE_RANGE, delete))
        assert ours.store.current_revision == revision, "it is in the snapshot"

        refused = ours.apply(kinds.PUT, rpc_pb2.PutRequest(key=b"k"))
        assert "database space exceeded" in str(refused)
        ours.apply(kinds.DELETE_RANGE, delete)
        assert ours.store.current_revision == revision + 1
        assert ours.lessor.keys_of(LEASE_ID) == []
