"""Keys and values as etcd stores them; compared with real files in tests/compat/test_bolt_real.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcdpy.base.invariant import StorageError
from etcdpy.pb.raft_values import ConfState
from etcdpy.storage.schema import buckets, meta, records
from etcdpy.storage.schema.revisions import decode_revision, encode_revision, is_revision, is_tombstone

U63 = st.integers(0, (1 << 63) - 1)


def test_bucket_numbers_follow_the_order_of_names() -> None:
    assert [buckets.NAMES[bucket] for bucket in buckets.ALL] == sorted(buckets.NAMES)
    assert buckets.NAMES[buckets.KEY] == b"key" and buckets.NAMES[buckets.META] == b"meta"
    assert buckets.BY_NAME[b"members_removed"] == buckets.MEMBERS_REMOVED


def test_revision_keys_look_as_in_etcd() -> None:
    assert encode_revision(258, 3) == bytes.fromhex("0000000000000102 5f 0000000000000003")
    assert encode_revision(258, 3, tombstone=True) == encode_revision(258, 3) + b"t"


@given(U63, U63, st.booleans(), U63, U63, st.booleans())
def test_revision_keys_come_back_and_sort_in_time(
    main: int, sub: int, tombstone: bool, other_main: int, other_sub: int, other_tombstone: bool
) -> None:
    key, other = encode_revision(main, sub, tombstone), encode_revision(other_main, other_sub, other_tombstone)
    assert decode_revision(key) == (main, sub)
    assert is_tombstone(key) == tombstone
    assert (key < other) == ((main, sub, tombstone) < (other_main, other_sub, other_tombstone))


@pytest.mark.parametrize("key", [b"", bytes(17), bytes(8) + b"_" + bytes(7), bytes(8) + b"_" + bytes(9)])
def test_other_keys_are_no_revisions(key: bytes) -> None:
    assert not is_revision(key)
    with pytest.raises(ValueError, match="not a revision"):
        decode_revision(key)


def test_numbers_of_meta() -> None:
    assert meta.decode_u64(meta.encode_u64(7)) == 7
    assert meta.decode_u64(None) == 0
    with pytest.raises(StorageError):
        meta.decode_u64(b"7")


def test_conf_state_is_the_json_of_go() -> None:
    state = ConfState(voters=[9372538179322589801, 2])
    assert meta.encode_conf_state(state) == b'{"voters":[9372538179322589801,2],"auto_leave":false}'
    joint = ConfState(voters=[1], learners=[2], voters_outgoing=[3], learners_next=[4], auto_leave=True)
    assert meta.encode_conf_state(joint) == (
        b'{"voters":[1],"learners":[2],"voters_outgoing":[3],"learners_next":[4],"auto_leave":true}'
    )
    assert meta.decode_conf_state(meta.encode_conf_state(joint)) == joint


@pytest.mark.parametrize("value", [b"", b"[]", b'{"voters":["x"]}', b'{"voters":7}', b"\xff"])
def test_a_damaged_conf_state_is_refused(value: bytes) -> None:
    with pytest.raises(StorageError):
        meta.decode_conf_state(value)


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_lease_ids_come_back(lease_id: int) -> None:
    assert records.decode_lease_id(records.encode_lease_id(lease_id)) == lease_id


def test_records() -> None:
    lease = records.decode_lease(records.encode_lease(lease_id=5, ttl_seconds=60, remaining_ttl_seconds=30))
    assert (lease.ID, lease.TTL, lease.RemainingTTL) == (5, 60, 30)
    assert records.encode_lease(lease_id=5, ttl_seconds=60) == bytes.fromhex("0805103c")
    assert records.encode_alarm(member_id=9, alarm=1) == bytes.fromhex("08091001")
    assert records.decode_alarm(bytes.fromhex("08091001")).alarm == 1
    assert records.decode_member_id(records.encode_member_id(0x8E9E05C52164694D)) == 0x8E9E05C52164694D
    assert records.encode_member_id(0x8E9E05C52164694D) == b"8e9e05c52164694d"
    assert records.encode_downgrade(target_version="3.5.0", enabled=True) == (
        b'{"target-version":"3.5.0","enabled":true}'
    )
    for decode in (records.decode_lease, records.decode_alarm, records.decode_lease_id, records.decode_member_id):
        with pytest.raises(StorageError):
            decode(b"\xff\xff\xff")
