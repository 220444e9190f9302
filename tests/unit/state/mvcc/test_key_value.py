"""KeyValue as bytes equals what protobuf writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcdpy.base.invariant import StorageError
from etcdpy.pb.kv_pb2 import KeyValue
from etcdpy.pb.rpc_pb2 import RangeResponse
from etcdpy.state.mvcc import key_value

revisions = st.one_of(st.integers(1, 300), st.integers(16_380, 16_390), st.integers(268_435_450, 1 << 62))
sizes = st.sampled_from([0, 1, 127, 128, 255, 256, 4095, 4096, 16_383, 20_000])


@given(revisions, revisions, revisions, sizes, sizes, st.sampled_from([0, 1, 1 << 62, -1]))
def test_encoding_equals_protobufs(
    created: int, modified: int, version: int, key_size: int, value_size: int, lease_id: int
) -> None:
    key, value = b"k" * key_size, b"v" * value_size
    expected = KeyValue(
        key=key, create_revision=created, mod_revision=modified, version=version, value=value, lease=lease_id
    )

    stored = key_value.encode_key_value(key, created, modified, version, value, lease_id)

    assert key_size == 0 or stored == expected.SerializeToString()
    assert KeyValue.FromString(stored) == expected
    assert key_value.key_of(stored) == key


@given(sizes, revisions)
def test_a_deletion_in_store_and_as_event(key_size: int, revision: int) -> None:
    key = b"k" * key_size
    stored = key_value.encode_tombstone(key)

    assert stored == KeyValue(key=key).SerializeToString()
    assert key_value.delete_event(stored, revision) == KeyValue(key=key, mod_revision=revision).SerializeToString()


@pytest.mark.parametrize("value_size", [0, 10, 20_000])
def test_joined_and_without_values(value_size: int) -> None:
    kv = KeyValue(key=b"k", create_revision=2, mod_revision=3, version=2, value=b"v" * value_size, lease=7)
    stored = kv.SerializeToString()

    assert RangeResponse.FromString(key_value.join_kvs([stored, stored])) == RangeResponse(kvs=[kv, kv])
    kv.ClearField("value")
    assert key_value.without_value(stored) == kv.SerializeToString()


@pytest.mark.parametrize("stored", [b"\x12\x01a", b"\x0a\xff"])
def test_what_is_no_key_value_is_refused(stored: bytes) -> None:
    with pytest.raises(StorageError):
        key_value.key_of(stored)
