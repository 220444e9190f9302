"""Leases over a real store and backend, with virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from etcdpy.base.errors import EtcdError, LeaseExist, LeaseNotFound, LeaseTTLTooLarge
from etcdpy.pb import rpc_pb2
from etcdpy.state.lease.lease import Lease, decode_lease, encode_lease_key
from etcdpy.state.lease.lessor import Lessor, NotPrimary, minimum_ttl_seconds
from etcdpy.state.mvcc.store import Store
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets


class Member:
    """Backend, store and lessor of one member; `restart` makes them anew from the disk."""

    def __init__(self, directory: Path, **options: bool) -> None:
        self._directory = directory
        self._options = options
        self._index = 0
        self._open()

    def _open(self) -> None:
        self.backend = Backend.open(self._directory)
        self.lessor = Lessor(self.backend, ttl_seconds_min=2, **self._options)
        self.store = Store(self.backend, self.lessor)
        self.store.restore()
        self.lessor.bind(self.store)

    def restart(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        self._index += 1
        self.backend.end_entry(self._index, 1)
        self.backend.flush()
        self.backend.close()

    def grant(self, lease_id: int, ttl: int) -> rpc_pb2.LeaseGrantResponse:
        answer = self.lessor.apply_grant(rpc_pb2.LeaseGrantRequest(ID=lease_id, TTL=ttl))
        return rpc_pb2.LeaseGrantResponse.FromString(answer.body)

    def time_to_live(self, lease_id: int, now: float, *, keys: bool = False) -> rpc_pb2.LeaseTimeToLiveResponse:
        answer = self.lessor.time_to_live(rpc_pb2.LeaseTimeToLiveRequest(ID=lease_id, keys=keys), now)
        return rpc_pb2.LeaseTimeToLiveResponse.FromString(answer.body)

    def leases(self) -> list[int]:
        return [lease.ID for lease in rpc_pb2.LeaseLeasesResponse.FromString(self.lessor.leases().body).leases]


@pytest.fixture
def member(tmp_path: Path) -> Iterator[Member]:
    made = Member(tmp_path / "store")
    made.lessor.promote(100.0, 0.0)
    yield made
    made.lessor.check_invariants()
    made.close()


def test_shortest_ttl_survives_an_election() -> None:
    assert minimum_ttl_seconds(1.0) == 2
    assert minimum_ttl_seconds(0.1) == 1
    assert minimum_ttl_seconds(5.0) == 8


def test_grant_raises_short_ttls_and_says_so(member: Member) -> None:
    assert [member.grant(number, ttl).TTL for number, ttl in ((1, 1), (2, 0), (3, -3), (-4, 60))] == [2, 2, 2, 60]
    assert member.grant(8, 9_000_000_000) == rpc_pb2.LeaseGrantResponse(ID=8, TTL=9_000_000_000)


def test_grants_that_are_refused(member: Member) -> None:
    member.grant(1, 60)
    for lease_id, ttl, error in (
        (1, 60, LeaseExist),
        (1, 9_000_000_001, LeaseTTLTooLarge),
        (2, 9_000_000_001, LeaseTTLTooLarge),
        (0, 60, LeaseNotFound),
    ):
        with pytest.raises(error):
            member.lessor.grant(lease_id, ttl)
    assert len(member.lessor) == 1


def test_lease_record_is_as_in_etcd(member: Member) -> None:
    member.grant(0x1234, 60)
    member.grant(-4, 60)

    stored = member.backend.get(buckets.LEASE, bytes.fromhex("0000000000001234"))
    assert stored == b"\x08\xb4\x24\x10\x3c"
    assert encode_lease_key(-4).hex() == "fffffffffffffffc"
    assert decode_lease(Lease(-4, 60, 7).encode()).remaining_ttl == 7


def test_revoke_deletes_keys_in_order_in_one_revision(member: Member) -> None:
    member.grant(5, 60)
    for key in (b"b", b"a", b"c"):
        member.store.put(key, b"v", 5)
    member.store.record_changes = True
    answer = member.lessor.apply_revoke(rpc_pb2.LeaseRevokeRequest(ID=5))

    assert (answer.revision, answer.body) == (5, b"")
    changes = member.store.take_changes()
    assert [(change.key, change.is_delete, change.revision) for change in changes] == [
        (b"a", True, 5),
        (b"b", True, 5),
        (b"c", True, 5),
    ]
    with pytest.raises(LeaseNotFound):
        member.lessor.revoke(5)
    assert member.backend.get(buckets.LEASE, encode_lease_key(5)) is None


def test_revoke_without_keys_leaves_the_revision(member: Member) -> None:
    member.grant(5, 60)
    assert member.lessor.revoke(5) == 1


def test_keys_move_between_leases(member: Member) -> None:
    for lease_id in (1, 2):
        member.grant(lease_id, 60)
    member.store.put(b"a", b"", 1)
    member.store.put(b"b", b"", 1)
    member.store.put(b"a", b"", 2)
    member.store.put(b"b", b"")
    assert (member.lessor.keys_of(1), member.lessor.keys_of(2)) == ([], [b"a"])
    member.store.apply_delete_range(rpc_pb2.DeleteRangeRequest(key=b"a"))
    assert member.lessor.keys_of(2) == []
    with pytest.raises(LeaseNotFound):
        member.store.put(b"a", b"", 3)


def test_time_to_live(member: Member) -> None:
    member.lessor.tick(100.0)
    member.grant(5, 60)
    for key in (b"b", b"a"):
        member.store.put(key, b"", 5)

    assert member.time_to_live(5, 100.5) == rpc_pb2.LeaseTimeToLiveResponse(ID=5, TTL=59, grantedTTL=60)
    assert member.time_to_live(5, 100.0, keys=True).keys == [b"a", b"b"]
    assert member.time_to_live(9, 100.0) == rpc_pb2.LeaseTimeToLiveResponse(ID=9, TTL=-1)
    assert member.time_to_live(0, 100.0) == rpc_pb2.LeaseTimeToLiveResponse(TTL=-1)


def test_leases_are_listed_by_their_end(member: Member) -> None:
    for lease_id, ttl in ((1, 50), (2, 10), (-3, 99)):
        member.grant(lease_id, ttl)
    assert member.leases() == [2, 1, -3]
    member.lessor.renew(1, 149.5)
    assert member.leases() == [2, -3, 1]


def test_renewed_leases_do_not_expire(member: Member) -> None:
    member.lessor.tick(100.0)
    for lease_id in (1, 2):
        member.grant(lease_id, 10)
    assert member.lessor.renew(1, 109.0) == 10
    assert member.lessor.expired(109.9, 10) == []
    assert member.lessor.expired(110.0, 10) == [2]
    assert member.lessor.expired(118.9, 10) == [2]
    assert member.lessor.expired(119.0, 10) == [1]


def test_expired_lease_comes_again_until_it_is_revoked(member: Member) -> None:
    member.lessor.tick(100.0)
    member.grant(1, 10)
    assert member.lessor.expired(111.0, 10) == [1]
    assert member.lessor.expired(113.9, 10) == []
    assert member.lessor.expired(114.0, 10) == [1]
    with pytest.raises(LeaseNotFound):
        member.lessor.renew(1, 114.0)
    member.lessor.revoke(1)
    assert member.lessor.expired(200.0, 10) == []


def test_renewing_what_is_not_there(member: Member) -> None:
    with pytest.raises(LeaseNotFound):
        member.lessor.renew(1, 0.0)


def test_only_the_leader_knows_time(member: Member) -> None:
    member.grant(1, 10)
    member.lessor.demote()
    for ask in (lambda: member.lessor.renew(1, 0.0), lambda: member.time_to_live(1, 0.0)):
        with pytest.raises(NotPrimary) as refused:
            ask()
        assert (refused.value.code, str(refused.value)) == (2, "not a primary lessor")
    assert member.lessor.expired(1e12, 10) == []
    member.grant(2, 10)
    assert member.leases() == [1, 2]
    assert isinstance(refused.value, EtcdError)


def test_new_leader_gives_full_time_and_an_election_more(member: Member) -> None:
    member.lessor.tick(100.0)
    member.grant(1, 10)
    member.lessor.demote()
    member.lessor.promote(109.0, 1.0)
    assert member.lessor.expired(119.9, 10) == []
    assert member.lessor.expired(120.0, 10) == [1]


def test_many_leases_of_a_new_leader_do_not_end_at_once(member: Member) -> None:
    member.lessor.demote()
    for lease_id in range(1, 2001):
        member.grant(lease_id, 10)
    member.lessor.promote(0.0, 0.0)

    assert len(member.lessor.expired(10.5, 10_000)) == 750
    assert len(member.lessor.expired(11.5, 10_000)) == 750
    assert len(member.lessor.expired(12.5, 10_000)) == 500


def test_restart_keeps_leases_and_their_keys(tmp_path: Path) -> None:
    member = Member(tmp_path / "store")
    member.grant(5, 60)
    member.grant(6, 60)
    member.store.put(b"a", b"", 5)
    member.lessor.revoke(6)
    member.restart()
    member.lessor.promote(0.0, 1.0)

    assert member.leases() == [5]
    assert member.time_to_live(5, 0.0, keys=True) == rpc_pb2.LeaseTimeToLiveResponse(
        ID=5, TTL=61, grantedTTL=60, keys=[b"a"]
    )
    assert member.lessor.revoke(5) == 3
    member.close()


def test_checkpoints_are_due_every_five_minutes(tmp_path: Path) -> None:
    member = Member(tmp_path / "store", are_checkpoints_on=True)
    lessor = member.lessor
    lessor.promote(0.0, 0.0)
    member.grant(1, 1000)
    member.grant(2, 300)  # not longer than the interval
    assert lessor.due_checkpoints(299.0) == []
    assert lessor.due_checkpoints(300.0) == [(1, 700)]
    assert lessor.due_checkpoints(600.0) == []
    lessor.tick(301.0)
    lessor.checkpoint(1, 700)
    assert lessor.due_checkpoints(600.0) == []
    assert lessor.due_checkpoints(601.0) == [(1, 399)]
    member.close()


def test_renewing_takes_a_checkpoint_back(tmp_path: Path) -> None:
    member = Member(tmp_path / "store", are_checkpoints_on=True)
    member.lessor.promote(0.0, 0.0)
    member.grant(1, 1000)
    member.lessor.checkpoint(1, 700)
    assert member.lessor.renew(1, 301.0) == 1000
    assert member.lessor.due_checkpoints(302.0) == [(1, 0)]
    assert member.lessor.due_checkpoints(302.0) == []
    member.close()


@pytest.mark.parametrize("are_persisted", [False, True])
def test_new_leader_goes_by_the_last_checkpoint(tmp_path: Path, are_persisted: bool) -> None:
    member = Member(tmp_path / "store", are_checkpoints_on=True, are_checkpoints_persisted=are_persisted)
    member.grant(1, 1000)
    request = rpc_pb2.LeaseCheckpointRequest(checkpoints=[rpc_pb2.LeaseCheckpoint(ID=1, remaining_TTL=400)])
    member.lessor.apply_checkpoint(request)
    member.lessor.promote(0.0, 0.0)
    assert member.time_to_live(1, 0.0).TTL == 400
    member.restart()
    member.lessor.promote(0.0, 0.0)
    assert member.time_to_live(1, 0.0).TTL == (400 if are_persisted else 1000)
    member.close()


def test_checkpoint_of_a_lease_that_is_gone(member: Member) -> None:
    request = rpc_pb2.LeaseCheckpointRequest(checkpoints=[rpc_pb2.LeaseCheckpoint(ID=1, remaining_TTL=400)])
    with pytest.raises(LeaseNotFound):
        member.lessor.apply_checkpoint(request)
