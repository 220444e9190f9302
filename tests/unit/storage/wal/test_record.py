from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcdpy.pb import raft_pb2, wal_pb2
from etcdpy.pb.raft_values import ConfState, Entry, HardState
from etcdpy.storage.wal import record
from etcdpy.storage.wal.record import MalformedRecord, WalSnapshot

U64 = st.integers(0, (1 << 64) - 1)


@given(
    st.builds(Entry, U64.filter(bool), U64.filter(bool), st.just(0), st.binary(max_size=300)),
)
def test_an_entry_is_decoded_to_what_was_encoded(entry: Entry) -> None:
    assert record.decode_entry(entry.encode()) == entry


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 16383, 16384, 16385, 2_100_000])
def test_payloads_of_every_size_of_size(size: int) -> None:
    entry = Entry(5, 70_000, 0, b"x" * size)
    assert record.decode_entry(entry.encode()) == entry


def test_an_entry_with_empty_but_present_data_is_taken() -> None:
    """Go writes an empty slice that is not nil."""
    assert record.decode_entry(Entry(1, 2).encode() + b'"\0') == Entry(1, 2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\x00\x10\x01",
        Entry(1, 2, 0, b"x").encode() + b"\0",
        Entry(1, 2, 0, b"x").encode()[:-1],
        Entry(1, 2, 0, b"x").encode() + b"\x28\x01",
        Entry(1, 2, 3, b"x").encode(),
        Entry(1, 2, 1, b"").encode(),
        Entry(1, 2, 2, b"").encode(),
        Entry(0, 2, 0, b"x").encode(),
        Entry(1, 0, 0, b"x").encode(),
        HardState(1, 2, 3).encode(),
        HardState(2, 2, 3).encode(),
        HardState(3, 2, 3).encode(),
    ],
)
def test_what_is_no_entry_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedRecord):
        record.decode_entry(data)


@given(U64.filter(bool), U64, U64)
def test_a_hard_state_is_decoded_to_what_was_encoded(term: int, vote: int, commit: int) -> None:
    state = HardState(term, vote, commit)
    assert record.decode_hard_state(state.encode()) == state


@pytest.mark.parametrize(
    "data",
    [
        b"",
        Entry(1, 2, 0, b"x").encode(),
        Entry(1, 2, 0, b"").encode(),
        Entry(1, 2, 1, b"x").encode(),
        HardState(1, 2, 3).encode() + b"\x20\x01",
        HardState(1, 2, 3).encode()[:-1],
        WalSnapshot(3, 1).encode(),
    ],
)
def test_what_is_no_hard_state_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedRecord):
        record.decode_hard_state(data)


def test_a_snapshot_note_is_go_s_bytes() -> None:
    snapshot = WalSnapshot(6, 2, ConfState([1, 300], learners=[5]))
    message = wal_pb2.Snapshot.FromString(snapshot.encode())
    assert (message.index, message.term, list(message.conf_state.voters)) == (6, 2, [1, 300])
    # Non-nullable in Go: written although false.
    assert message.conf_state.HasField("auto_leave")
    assert snapshot.encode() == bytes.fromhex("0806 1002 1a09 0801 08ac02 1005 2800")
    decoded = record.decode_snapshot(snapshot.encode())
    assert decoded == snapshot and decoded.conf_state == snapshot.conf_state
    assert record.decode_snapshot(bytes.fromhex("08001000")) == WalSnapshot()


@pytest.mark.parametrize(
    "data", [b"", b"\x08\x01", b"\x08\x01\x10\x01\x1a", b"\x08\x01\x10\x01\x18\x00", b"\x10\x01\x08\x01"]
)
def test_what_is_no_snapshot_note_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedRecord):
        record.decode_snapshot(data)


@given(st.integers(1, 5), st.integers(0, (1 << 32) - 1), st.binary(min_size=1, max_size=400))
def test_a_frame_is_go_s_record_padded_to_eight_bytes(kind: int, crc: int, data: bytes) -> None:
    frame = record.encode_frame(kind, crc, data)
    length = int.from_bytes(frame[:7], "little")
    assert len(frame) % 8 == 0 and 0 <= len(frame) - 8 - length < 8
    assert frame[7] == (0x80 | -length % 8 if length % 8 else 0)
    message = wal_pb2.Record.FromString(frame[8 : 8 + length])
    assert (message.type, message.crc, message.data) == (kind, crc, data)
    assert frame[8 : 8 + length] == message.SerializeToString()


def test_entry_types_are_raft_s() -> None:
    assert raft_pb2.EntryConfChangeV2 == 2
