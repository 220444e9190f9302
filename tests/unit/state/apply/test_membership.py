"""Membership entries: made or refused, on raft's side and on the roster's alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etcdpy.base.errors import MemberExist, MemberNotFound
from etcdpy.base.invariant import InvariantError
from etcdpy.pb import membership_pb2, raft_internal_pb2, raft_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, ENTRY_CONF_CHANGE_V2, ConfState, Entry
from etcdpy.state.apply.membership import apply_change
from etcdpy.state.members import Member, MembershipChange, Roster
from etcdpy.state.members.change import (
    ADDED,
    PROMOTED,
    REFUSED,
    REMOVED,
    UPDATED,
    add_change,
    promote_change,
    remove_change,
    update_change,
)
from etcdpy.state.mvcc.answer import Answer
from etcdpy.state.v2store import V2Store
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets, meta
from tests.unit.state.apply.machine import MEMBER, Machine, open_machine

OTHER = Member(id=0xBEEF, peer_urls=("http://b:2380",), is_learner=True)


class World:
    """A roster, and what raft was given."""

    def __init__(self, backend: Backend) -> None:
        self.roster = Roster(V2Store(), backend)
        self.taken: list[tuple[int, int]] = []

    def apply(self, change: raft_pb2.ConfChange) -> MembershipChange:
        change.id = 7
        return apply_change(self.roster, change, self.take, mirror=True)

    def take(self, change: raft_pb2.ConfChange) -> ConfState:
        self.taken.append((change.type, change.node_id))
        return ConfState([len(self.taken)])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    backend = Backend.open(tmp_path)
    yield World(backend)
    backend.close()


def test_each_kind_of_change(world: World) -> None:
    voter = OTHER.as_voter()
    moved = voter.with_peer_urls(["http://z:1"])
    results = [
        world.apply(add_change(MEMBER)),
        world.apply(add_change(OTHER)),
        world.apply(promote_change(OTHER.id)),
        world.apply(update_change(OTHER.id, moved.peer_urls)),
        world.apply(remove_change(OTHER.id)),
    ]

    assert [(result.kind, result.member, result.members) for result in results] == [
        (ADDED, MEMBER, (MEMBER,)),
        (ADDED, OTHER, (OTHER, MEMBER)),
        (PROMOTED, voter, (voter, MEMBER)),
        (UPDATED, moved, (moved, MEMBER)),
        (REMOVED, moved, (MEMBER,)),
    ]
    assert world.taken == [(0, MEMBER.id), (3, OTHER.id), (0, OTHER.id), (2, OTHER.id), (1, OTHER.id)]
    assert {(result.request_id, result.error) for result in results} == {(7, None)}
    assert [result.conf_state for result in results] == [ConfState([number]) for number in range(1, 6)]


def test_what_is_refused_is_a_change_of_nobody_to_raft(world: World) -> None:
    world.apply(add_change(MEMBER))
    twice = world.apply(add_change(MEMBER))
    unknown = world.apply(remove_change(OTHER.id))

    assert (twice.kind, twice.member_id, twice.member, twice.error) == (REFUSED, MEMBER.id, None, MemberExist())
    assert (unknown.kind, unknown.error, unknown.members) == (REFUSED, MemberNotFound(), (MEMBER,))
    assert world.taken[1:] == [(0, 0), (1, 0)]


def test_a_change_that_contradicts_itself_stops_the_member(world: World) -> None:
    change = add_change(MEMBER)
    change.node_id = OTHER.id
    with pytest.raises(InvariantError, match="member beef tells of member d46c"):
        world.apply(change)


# -- as entries


def conf_change(machine: Machine, change: raft_pb2.ConfChange, conf_state: ConfState) -> MembershipChange:
    machine.index += 1
    entry = Entry(3, machine.index, ENTRY_CONF_CHANGE, change.SerializeToString())
    return machine.applier.apply_conf_change(entry, lambda _: conf_state)


def test_a_refused_change_counts_as_applied_and_leaves_the_configuration_alone(tmp_path: Path) -> None:
    with open_machine(tmp_path) as machine:
        conf_change(machine, add_change(MEMBER), ConfState([MEMBER.id]))
        conf_change(machine, add_change(MEMBER), ConfState([99]))

        stored = machine.backend.get(buckets.META, meta.CONF_STATE)
        assert stored is not None and meta.decode_conf_state(stored) == ConfState([MEMBER.id])
        assert machine.applier.consistent_index == machine.backend.consistent_index == 2


def test_a_replay_comes_to_the_same_verdicts_and_leaves_the_buckets_alone(tmp_path: Path) -> None:
    """The v2 store begins empty, as after a crash before the first `.snap`; the backend has everything."""
    changes = [
        add_change(MEMBER),
        add_change(OTHER),
        add_change(OTHER),
        promote_change(OTHER.id),
        remove_change(OTHER.id),
        add_change(OTHER),
    ]
    with open_machine(tmp_path) as machine:
        first = [conf_change(machine, change, ConfState([1])) for change in changes]
        buckets_before = membership_buckets(machine)

    with open_machine(tmp_path) as machine:
        machine.index = 0
        again = [conf_change(machine, change, ConfState([1])) for change in changes]

        assert again == first
        assert [result.kind for result in again] == [ADDED, ADDED, REFUSED, PROMOTED, REMOVED, REFUSED]
        assert membership_buckets(machine) == buckets_before


def membership_buckets(machine: Machine) -> list[object]:
    kept = (buckets.MEMBERS, buckets.MEMBERS_REMOVED)
    items = [item for bucket in kept for item in machine.backend.scan(bucket, b"", None)]
    return [*items, machine.backend.get(buckets.META, meta.CONF_STATE)]


def test_a_change_of_a_kind_that_etcd_does_not_make_stops_the_member(tmp_path: Path) -> None:
    with open_machine(tmp_path) as machine:
        entry = Entry(1, 1, ENTRY_CONF_CHANGE_V2, b"")
        with pytest.raises(InvariantError, match="no configuration change that etcd makes"):
            machine.applier.apply_conf_change(entry, lambda _: ConfState())


# -- what 3.6 members say


def apply_data(machine: Machine, **request: Any) -> None:
    message = raft_internal_pb2.InternalRaftRequest(header=raft_internal_pb2.RequestHeader(ID=5), **request)
    request_id, result = machine.apply_data(message.SerializeToString())
    assert request_id == 5 and isinstance(result, Answer)


def apply_each(machine: Machine) -> None:
    attributes = membership_pb2.Attributes(name=b"\xffone", client_urls=[b"http://c:1"])
    apply_data(machine, cluster_version_set=membership_pb2.ClusterVersionSetRequest(ver=b"3.5.0"))
    said = membership_pb2.ClusterMemberAttrSetRequest(member_ID=MEMBER.id, member_attributes=attributes)
    apply_data(machine, cluster_member_attr_set=said)
    apply_data(machine, downgrade_info_set=membership_pb2.DowngradeInfoSetRequest(enabled=True, ver=b"3.5.0"))


def test_newer_members_requests_are_understood_and_replayed(tmp_path: Path) -> None:
    with open_machine(tmp_path) as machine:
        machine.add_member()
        apply_each(machine)
        assert machine.backend.get(buckets.CLUSTER, b"clusterVersion") == b"3.5.0"
        assert machine.backend.get(buckets.CLUSTER, b"downgrade") == b'{"target-version":"3.5.0","enabled":true}'

    with open_machine(tmp_path) as machine:
        machine.add_member(index=1)
        machine.index = 1
        assert machine.roster.version == ""
        apply_each(machine)

        member = machine.roster.find_member(MEMBER.id)
        assert member is not None and (member.name, member.client_urls) == ("\udcffone", ("http://c:1",))
        assert (machine.roster.version, machine.roster.downgrade_target) == ("3.5.0", "3.5.0")


def test_a_downgrade_ends(tmp_path: Path) -> None:
    with open_machine(tmp_path) as machine:
        for is_enabled in (True, False):
            request = membership_pb2.DowngradeInfoSetRequest(enabled=is_enabled, ver=b"3.5.0")
            apply_data(machine, downgrade_info_set=request)

        assert machine.roster.downgrade_target == ""
        assert machine.backend.get(buckets.CLUSTER, b"downgrade") == b'{"target-version":"","enabled":false}'
