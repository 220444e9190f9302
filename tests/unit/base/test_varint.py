"""Variable-length integers, against the protobuf library."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcdpy.base.varint import decode_varint, encode_varint
from etcdpy.pb import rpc_pb2

U64 = st.one_of(
    st.integers(0, (1 << 64) - 1), st.sampled_from([(1 << bits) + near for bits in range(1, 64) for near in (-1, 0, 1)])
)


@given(U64)
def test_encodes_as_protobuf_does(value: int) -> None:
    field = rpc_pb2.ResponseHeader(member_id=value).SerializeToString()

    assert (b"\x10" + encode_varint(value) if value else b"") == field


@given(st.integers(-(1 << 63), -1))
def test_negative_int64_takes_ten_bytes(value: int) -> None:
    assert rpc_pb2.ResponseHeader(revision=value).SerializeToString() == b"\x18" + encode_varint(value)


@given(U64, st.binary(max_size=3))
def test_decodes_what_it_encoded(value: int, rest: bytes) -> None:
    encoded = encode_varint(value)

    assert decode_varint(encoded + rest, 0) == (value, len(encoded))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 10, b"\xff" * 11, b"\x80" * 9 + b"\x02"])
def test_refuses_what_is_cut_off_or_too_long(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode_varint(data, 0)
