"""Entries become state: the same on every member, each once, and none half."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from etcdpy.base.errors import (
    Compacted,
    Corrupt,
    EtcdError,
    FutureRev,
    KeyNotFound,
    LeaseExist,
    LeaseNotFound,
    LeaseTTLTooLarge,
    NoSpace,
)
from etcdpy.base.invariant import InvariantError
from etcdpy.pb import raft_internal_pb2, raft_pb2, rpc_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, ConfState, Entry
from etcdpy.pb.rpc_pb2 import (
    AlarmRequest,
    AlarmResponse,
    CompactionRequest,
    DeleteRangeRequest,
    LeaseCheckpointRequest,
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseRevokeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)
from etcdpy.state.alarm import CORRUPT, NONE, NOSPACE
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.applier import Result
from etcdpy.state.apply.proposal import encode_v2_put
from etcdpy.state.members import Member
from etcdpy.state.mvcc.answer import Answer
from etcdpy.storage.schema import buckets, meta
from tests.unit.state.apply.machine import MEMBER, Machine, open_machine, open_machine_unclosed


def alarm(action: int, kind: int, member: int = 7) -> AlarmRequest:
    return AlarmRequest(action=action, memberID=member, alarm=kind)  # type: ignore[arg-type]


def activate(kind: int, member: int = 7) -> AlarmRequest:
    return alarm(AlarmRequest.ACTIVATE, kind, member)


def put(key: bytes = b"a", **fields: Any) -> PutRequest:
    return PutRequest(key=key, value=b"v", **fields)


def put_txn(*keys: bytes) -> TxnRequest:
    return TxnRequest(success=[RequestOp(request_put=put(key)) for key in keys])


READ_TXN = TxnRequest(success=[RequestOp(request_range=RangeRequest(key=b"a"))])


def body_of(result: Result) -> bytes:
    assert isinstance(result, Answer), result
    return result.body


def error_of(result: Result) -> type:
    assert isinstance(result, EtcdError), result
    return type(result)


# -- entries


@pytest.mark.parametrize("is_ours", [True, False])
def test_every_kind_reaches_its_place(tmp_path: Path, is_ours: bool) -> None:
    """Whether the proposer's own request is used or the log's bytes are decoded makes no difference."""
    with open_machine(tmp_path) as machine:

        def apply(kind: int, request: Any) -> Answer:
            result = machine.apply(kind, request, is_ours=is_ours)
            assert isinstance(result, Answer), result
            return result

        assert apply(kinds.PUT, put()).revision == 2
        assert apply(kinds.TXN, put_txn(b"a", b"b")).revision == 3
        assert rpc_pb2.RangeResponse.FromString(apply(kinds.RANGE, RangeRequest(key=b"b")).body).count == 1
        assert apply(kinds.DELETE_RANGE, DeleteRangeRequest(key=b"b")).revision == 4
        assert apply(kinds.COMPACTION, CompactionRequest(revision=3)).revision == 4
        assert LeaseGrantResponse.FromString(apply(kinds.LEASE_GRANT, LeaseGrantRequest(ID=9, TTL=60)).body).TTL == 60
        checkpoint = LeaseCheckpointRequest(checkpoints=[rpc_pb2.LeaseCheckpoint(ID=9, remaining_TTL=30)])
        apply(kinds.LEASE_CHECKPOINT, checkpoint)
        apply(kinds.PUT, put(lease=9))
        assert apply(kinds.LEASE_REVOKE, LeaseRevokeRequest(ID=9)).revision == 6
        assert apply(kinds.ALARM, alarm(AlarmRequest.GET, NONE)).revision == 6
        assert machine.store.compact_revision == 3 and machine.store.keys_total == 0


def test_the_decoded_request_is_let_go_of_after_its_use(tmp_path: Path) -> None:
    """The log in memory keeps entries for a long time; it needs their bytes only."""
    with open_machine(tmp_path) as machine:
        entry = machine.entry(kinds.PUT, put())
        machine.applier.apply_entry(entry)

        assert entry.request is None and entry.data


def test_an_empty_entry_is_nobodys_and_counts(tmp_path: Path) -> None:
    with open_machine(tmp_path) as machine:
        assert machine.apply_data(b"") == (0, None)
        assert (machine.applier.consistent_index, machine.backend.consistent_index, machine.applier.term) == (1, 1, 2)


def test_a_mistake_is_a_result_and_counts_as_applied(tmp_path: Path) -> None:
    with open_machine(tmp_path) as machine:
        assert error_of(machine.apply(kinds.PUT, put(lease=5))) is LeaseNotFound
        assert (machine.applier.consistent_index, machine.store.current_revision) == (1, 1)


# -- what is replayed


def test_entries_at_or_below_the_consistent_index_change_nothing_in_the_store(tmp_path: Path) -> None:
    with open_machine(tmp_path) as machine:
        entries = [machine.entry(kinds.PUT, put(b"%d" % number)) for number in range(3)]
        copies = [Entry(entry.term, entry.index, entry.type, entry.data) for entry in entries]
        for entry in entries:
            machine.applier.apply_entry(entry)

    with open_machine(tmp_path) as machine:
        assert machine.applier.consistent_index == 3
        replayed = [machine.applier.apply_entry(copy) for copy in copies]

        assert [result for _, result in replayed] == [None] * 3
        assert (machine.store.current_revision, machine.store.keys_total, machine.backend.consistent_index) == (4, 3, 3)


def test_replay_brings_v2_store_and_roster_back_but_leaves_the_buckets_alone(tmp_path: Path) -> None:
    version = encode_v2_put(1, "/0/version", "3.5.0")
    attributes = encode_v2_put(2, "/0/members/d46c/attributes", '{"name":"one","clientURLs":["http://c:1"]}')

    def replay(machine: Machine) -> None:
        machine.add_member(index=1)
        machine.applier.apply_entry(Entry(2, 2, 0, version))
        machine.applier.apply_entry(Entry(2, 3, 0, attributes))

    with open_machine(tmp_path) as machine:
        replay(machine)
        # What only a later entry may have changed since: replay must not put the older value back.
        machine.backend.put(buckets.CLUSTER, b"clusterVersion", b"3.6.0")
        machine.backend.put(buckets.MEMBERS, b"d46c", b"later")
        machine.backend.put(buckets.META, meta.CONF_STATE, b"later")
        machine.backend.end_entry(4, 2)

    with open_machine(tmp_path) as machine:
        assert machine.roster.get_members() == []
        replay(machine)

        (member,) = machine.roster.get_members()
        assert (member.name, member.client_urls, machine.roster.version) == ("one", ("http://c:1",), "3.5.0")
        assert machine.v2store.find_value("/0/version") == "3.5.0"
        assert machine.backend.get(buckets.CLUSTER, b"clusterVersion") == b"3.6.0"
        assert machine.backend.get(buckets.MEMBERS, b"d46c") == b"later"
        assert machine.backend.get(buckets.META, meta.CONF_STATE) == b"later"


# -- guards

ALWAYS_ALLOWED = [
    (kinds.ALARM, alarm(AlarmRequest.GET, NONE)),
    (kinds.LEASE_CHECKPOINT, LeaseCheckpointRequest()),
]
NO_SPACE_ALLOWED = [
    (kinds.RANGE, RangeRequest(key=b"a")),
    (kinds.DELETE_RANGE, DeleteRangeRequest(key=b"a")),
    (kinds.TXN, READ_TXN),
    (kinds.COMPACTION, CompactionRequest(revision=1)),
    (kinds.LEASE_REVOKE, LeaseRevokeRequest(ID=9)),
]
NO_SPACE_REFUSED = [
    (kinds.PUT, put()),
    (kinds.TXN, put_txn(b"a")),
    (kinds.LEASE_GRANT, LeaseGrantRequest(ID=10, TTL=60)),
]


@pytest.mark.parametrize(("kind", "request_"), NO_SPACE_REFUSED)
def test_without_space_what_grows_the_store_is_refused(tmp_path: Path, kind: int, request_: Any) -> None:
    with open_machine(tmp_path) as machine:
        machine.apply(kinds.ALARM, activate(NOSPACE))

        assert error_of(machine.apply(kind, request_)) is NoSpace
        assert machine.store.current_revision == 1 and len(machine.lessor) == 0


@pytest.mark.parametrize(("kind", "request_"), NO_SPACE_ALLOWED + ALWAYS_ALLOWED)
def test_without_space_what_makes_room_or_only_reads_is_done(tmp_path: Path, kind: int, request_: Any) -> None:
    with open_machine(tmp_path) as machine:
        machine.apply(kinds.LEASE_GRANT, LeaseGrantRequest(ID=9, TTL=60))
        machine.apply(kinds.ALARM, activate(NOSPACE))

        assert isinstance(machine.apply(kind, request_), Answer)


@pytest.mark.parametrize(("kind", "request_"), NO_SPACE_ALLOWED + NO_SPACE_REFUSED)
def test_with_corruption_every_access_to_keys_and_leases_is_refused(tmp_path: Path, kind: int, request_: Any) -> None:
    with open_machine(tmp_path) as machine:
        machine.apply(kinds.LEASE_GRANT, LeaseGrantRequest(ID=9, TTL=60))
        machine.apply(kinds.ALARM, activate(NOSPACE))
        machine.apply(kinds.ALARM, activate(CORRUPT))

        assert error_of(machine.apply(kind, request_)) is Corrupt


@pytest.mark.parametrize(("kind", "request_"), ALWAYS_ALLOWED)
def test_with_corruption_alarms_can_still_be_handled(tmp_path: Path, kind: int, request_: Any) -> None:
    with open_machine(tmp_path) as machine:
        machine.apply(kinds.ALARM, activate(CORRUPT))

        assert isinstance(machine.apply(kind, request_), Answer)


def test_guards_hold_from_a_restart_on_and_end_with_the_last_alarm(tmp_path: Path) -> None:
    with open_machine(tmp_path) as machine:
        machine.apply(kinds.ALARM, activate(NOSPACE, 7))
        machine.apply(kinds.ALARM, activate(NOSPACE, 8))

    with open_machine(tmp_path) as machine:
        assert error_of(machine.apply(kinds.PUT, put())) is NoSpace
        machine.apply(kinds.ALARM, alarm(AlarmRequest.DEACTIVATE, NOSPACE, 7))
        assert error_of(machine.apply(kinds.PUT, put())) is NoSpace
        machine.apply(kinds.ALARM, alarm(AlarmRequest.DEACTIVATE, NOSPACE, 8))
        assert not machine.applier.guarded
        assert isinstance(machine.apply(kinds.PUT, put()), Answer)


def test_alarm_answers_name_what_was_touched(tmp_path: Path) -> None:
    def alarms(machine: Machine, request: AlarmRequest) -> list[tuple[int, int]]:
        response = AlarmResponse.FromString(body_of(machine.apply(kinds.ALARM, request)))
        return [(found.memberID, found.alarm) for found in response.alarms]

    with open_machine(tmp_path) as machine:
        assert alarms(machine, activate(NOSPACE)) == [(7, NOSPACE)]
        assert alarms(machine, activate(NOSPACE)) == [(7, NOSPACE)], "raised already"
        assert alarms(machine, activate(NONE)) == []
        assert alarms(machine, activate(CORRUPT, 8)) == [(8, CORRUPT)]
        assert alarms(machine, alarm(AlarmRequest.GET, NONE)) == [(7, NOSPACE), (8, CORRUPT)]
        assert alarms(machine, alarm(AlarmRequest.GET, CORRUPT)) == [(8, CORRUPT)]
        assert alarms(machine, alarm(AlarmRequest.DEACTIVATE, NOSPACE)) == [(7, NOSPACE)]
        assert alarms(machine, alarm(AlarmRequest.DEACTIVATE, NOSPACE)) == [], "disarmed already"


# -- determinism

MISTAKES: list[tuple[type, int, Any]] = [
    (LeaseNotFound, kinds.PUT, put(lease=5)),
    (KeyNotFound, kinds.PUT, PutRequest(key=b"none", ignore_value=True)),
    (KeyNotFound, kinds.PUT, PutRequest(key=b"none", value=b"v", ignore_lease=True)),
    (LeaseNotFound, kinds.TXN, TxnRequest(success=[RequestOp(request_put=put(lease=5))])),
    (KeyNotFound, kinds.TXN, TxnRequest(success=[RequestOp(request_put=PutRequest(key=b"x", ignore_value=True))])),
    (FutureRev, kinds.TXN, TxnRequest(success=[RequestOp(request_range=RangeRequest(key=b"a", revision=99))])),
    (FutureRev, kinds.RANGE, RangeRequest(key=b"a", revision=99)),
    (Compacted, kinds.RANGE, RangeRequest(key=b"a", revision=2)),
    (Compacted, kinds.COMPACTION, CompactionRequest(revision=3)),
    (FutureRev, kinds.COMPACTION, CompactionRequest(revision=99)),
    (LeaseNotFound, kinds.LEASE_GRANT, LeaseGrantRequest(ID=0, TTL=1)),
    (LeaseExist, kinds.LEASE_GRANT, LeaseGrantRequest(ID=9, TTL=1)),
    (LeaseTTLTooLarge, kinds.LEASE_GRANT, LeaseGrantRequest(ID=11, TTL=9_000_000_001)),
    (LeaseNotFound, kinds.LEASE_REVOKE, LeaseRevokeRequest(ID=5)),
    (
        LeaseNotFound,
        kinds.LEASE_CHECKPOINT,
        LeaseCheckpointRequest(checkpoints=[rpc_pb2.LeaseCheckpoint(ID=5, remaining_TTL=1)]),
    ),
]


def prepare(machine: Machine) -> None:
    for number in range(4):
        machine.apply(kinds.PUT, put(b"%d" % number))
    machine.apply(kinds.LEASE_GRANT, LeaseGrantRequest(ID=9, TTL=60))
    machine.apply(kinds.COMPACTION, CompactionRequest(revision=3))


@pytest.mark.parametrize(("error", "kind", "request_"), MISTAKES)
def test_the_same_mistake_gives_the_same_error_and_leaves_nothing(
    tmp_path: Path, error: type, kind: int, request_: Any
) -> None:
    """Twice on one member, and on another one that decodes the entry: the same error, and the store is as before."""
    found: list[tuple[type, str, int]] = []
    hashes: list[int] = []

    def note(machine: Machine, is_ours: bool) -> None:
        result = machine.apply(kind, request_, is_ours=is_ours)
        assert isinstance(result, EtcdError)
        found.append((type(result), result.text, result.code))
        hashes.append(machine.backend.hash())

    with open_machine(tmp_path / "one") as machine:
        prepare(machine)
        hashes.append(machine.backend.hash())
        note(machine, True)
        note(machine, True)
    with open_machine(tmp_path / "other") as machine:
        prepare(machine)
        note(machine, False)

    assert len(set(found)) == 1 and found[0][0] is error
    assert len(set(hashes)) == 1


def test_two_members_that_apply_the_same_entries_hold_the_same(tmp_path: Path) -> None:
    """Wherever the backend commits meanwhile, and whoever proposed."""
    hashes, bodies = [], []
    for name, is_ours, flushes in (("one", True, False), ("two", False, True)):
        with open_machine(tmp_path / name) as machine:
            seen = []
            for kind, request in [(kinds.PUT, put(b"%d" % number)) for number in range(9)] + [
                (kinds.LEASE_GRANT, LeaseGrantRequest(ID=9, TTL=60)),
                (kinds.PUT, put(b"1", lease=9)),
                (kinds.TXN, put_txn(b"x", b"y", b"3")),
                (kinds.COMPACTION, CompactionRequest(revision=5)),
                (kinds.PUT, put(b"1", lease=77)),
                (kinds.DELETE_RANGE, DeleteRangeRequest(key=b"2", range_end=b"5", prev_kv=True)),
                (kinds.LEASE_REVOKE, LeaseRevokeRequest(ID=9)),
                (kinds.ALARM, activate(NOSPACE)),
            ]:
                result = machine.apply(kind, request, is_ours=is_ours)
                seen.append(result.body if isinstance(result, Answer) else result.text.encode())
                if flushes:
                    machine.backend.flush()
            bodies.append(seen)
            hashes.append(machine.backend.hash())

    assert bodies[0] == bodies[1]
    assert hashes[0] == hashes[1]


# -- what nobody knows


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff",
        b"\x08\x01",  # InternalRaftRequest{ID: 1} and nothing else
        raft_internal_pb2.InternalRaftRequest(
            header=raft_internal_pb2.RequestHeader(ID=1), downgrade_version_test=rpc_pb2.DowngradeVersionTestRequest()
        ).SerializeToString(),
        encode_v2_put(1, "/0/members/d46c/raftAttributes", "{}"),
    ],
)
def test_what_nobody_knows_stops_the_member(tmp_path: Path, data: bytes) -> None:
    """To pass over it would let this member's state part from the others'."""
    with open_machine(tmp_path) as machine:
        with pytest.raises(InvariantError):
            machine.apply_data(data)
        assert machine.applier.consistent_index == 0


def test_what_v2_clients_of_a_go_member_wrote_is_kept(tmp_path: Path) -> None:
    """A log written with --enable-v2 is taken over; a request that failed then fails again, and is passed over."""
    with open_machine(tmp_path) as machine:
        machine.apply_data(encode_v2_put(1, "/1/folder/key", "v"))
        machine.apply_data(encode_v2_put(2, "/1/folder/key/below", "a file is no directory"))

        assert machine.v2store.find_value("/1/folder/key") == "v"
        assert machine.applier.consistent_index == 2


def test_a_configuration_change_is_no_normal_entry(tmp_path: Path) -> None:
    with open_machine(tmp_path) as machine, pytest.raises(InvariantError, match="entry 1 of type 1"):
        machine.applier.apply_entry(Entry(1, 1, ENTRY_CONF_CHANGE, b"x"))


def test_attributes_of_a_member_whom_nobody_added_stop_the_member(tmp_path: Path) -> None:
    with open_machine(tmp_path) as machine, pytest.raises(InvariantError, match="member d46c"):
        machine.apply_data(encode_v2_put(1, "/0/members/d46c/attributes", '{"name":"x"}'))


# -- what 3.5 members write


def test_attributes_and_version_of_a_35_member(tmp_path: Path) -> None:
    with open_machine(tmp_path) as machine:
        machine.add_member()
        attributes = '{"name":"one","clientURLs":["http://c:1"]}'
        request_id, result = machine.apply_data(encode_v2_put(55, "/0/members/d46c/attributes", attributes))
        assert request_id == 55 and isinstance(result, Answer) and result.body == b""
        machine.apply_data(encode_v2_put(56, "/0/version", "3.5.0"))

        member = machine.roster.find_member(MEMBER.id)
        assert member is not None and (member.name, member.client_urls) == ("one", ("http://c:1",))
        assert machine.v2store.find_value("/0/members/d46c/attributes") == attributes
        assert machine.backend.get(buckets.CLUSTER, b"clusterVersion") == b"3.5.0"
        assert machine.backend.get(buckets.MEMBERS, b"d46c") == MEMBER.to_json().encode(), "as it was added"


def test_configuration_changes_reach_roster_buckets_and_conf_state(tmp_path: Path) -> None:
    other = Member(id=0xBEEF, peer_urls=("http://b:2380",))

    def change(machine: Machine, kind: int, member: Member, voters: list[int]) -> None:
        machine.index += 1
        message = raft_pb2.ConfChange(
            type=kind,  # type: ignore[arg-type]
            node_id=member.id,
            context=member.to_json().encode(),
        )
        entry = Entry(3, machine.index, ENTRY_CONF_CHANGE, message.SerializeToString())
        machine.applier.apply_conf_change(entry, lambda _: ConfState(voters))

    with open_machine(tmp_path) as machine:
        change(machine, raft_pb2.ConfChangeAddNode, MEMBER, [MEMBER.id])
        change(machine, raft_pb2.ConfChangeAddNode, other, [MEMBER.id, other.id])
        change(machine, raft_pb2.ConfChangeUpdateNode, other.with_peer_urls(["http://c:1"]), [MEMBER.id, other.id])
        found = machine.roster.find_member(other.id)
        assert found is not None and found.peer_urls == ("http://c:1",)
        change(machine, raft_pb2.ConfChangeRemoveNode, other, [MEMBER.id])

        assert [member.id for member in machine.roster.get_members()] == [MEMBER.id]
        assert machine.backend.get(buckets.MEMBERS, b"beef") is None
        assert machine.backend.get(buckets.MEMBERS_REMOVED, b"beef") == b"removed"
        stored = machine.backend.get(buckets.META, meta.CONF_STATE)
        assert stored is not None and meta.decode_conf_state(stored) == ConfState([MEMBER.id])
        assert (machine.applier.consistent_index, machine.backend.term) == (4, 3)


# -- one transaction


def test_effects_and_the_index_that_counts_them_reach_the_disk_together(tmp_path: Path) -> None:
    """The folder as a crash leaves it at any moment: as many keys as the index says, never one more or less."""
    with open_machine(tmp_path / "live") as machine:
        for number in range(1, 31):
            machine.apply(kinds.PUT, put(b"%03d" % number))
            if number % 4 == 0:
                machine.backend.flush()
            machine.backend.poll(float(number))  # a second each: every poll may begin a commit, move it on or end it
            shutil.copytree(tmp_path / "live", tmp_path / f"crash-{number}")

    seen = set()
    for number in range(1, 31):
        survivor = open_machine_unclosed(tmp_path / f"crash-{number}")
        try:
            applied = survivor.applier.consistent_index
            assert (survivor.store.keys_total, survivor.store.current_revision) == (applied, applied + 1)
            assert applied <= number
            seen.add(applied)
        finally:
            survivor.backend.close()
    assert len(seen) > 3, "the copies should show several commits"


def test_the_index_never_goes_back(tmp_path: Path) -> None:
    with open_machine(tmp_path) as machine:
        machine.apply(kinds.PUT, put())
        machine.apply(kinds.PUT, put())
        replay = Entry(2, 1, 0, b"")
        machine.applier.apply_entry(replay)

        assert machine.applier.consistent_index == machine.backend.consistent_index == 2
