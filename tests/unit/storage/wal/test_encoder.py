"""The encoder's bytes, read by the test's own decoder."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ConfState, Entry, HardState
from etcdpy.storage.wal.encoder import Encoder
from etcdpy.storage.wal.names import SegmentName
from etcdpy.storage.wal.record import WalSnapshot
from tests.unit.storage.wal.logs import METADATA, decode_entry_fields, decode_log, decode_state_fields

BIG = 1 << 40


def begun(last_index: int = 0, segment_bytes: int = BIG) -> tuple[Encoder, bytes]:
    encoder = Encoder(METADATA, segment_bytes=segment_bytes)
    head = encoder.encode_segment_head()
    encoder.offset = len(head)
    encoder.last_index = last_index
    return encoder, head


@settings(max_examples=150)
@given(
    st.sampled_from([0, 100, 127, 16_380, 70_000, (1 << 28) - 2, 1 << 40]),
    st.lists(
        st.lists(
            st.tuples(st.sampled_from([1, 1, 1, 2]), st.one_of(st.binary(max_size=40), st.just(b"x" * 16384))),
            max_size=6,
        ),
        max_size=6,
    ),
)
def test_batches_are_read_back_by_an_independent_decoder(first: int, batches: list[list[tuple[int, bytes]]]) -> None:
    encoder, data = begun(last_index=first)
    index, term = first, 1
    expected: list[Entry | HardState] = []
    for batch in batches:
        entries = []
        for term_step, payload in batch:
            index += 1
            term += term_step - 1
            entries.append(Entry(term, index, 1 if payload[:1] == b"\0" else 0, payload))
        state = HardState(term, 1 << 63, index)
        encoded = encoder.encode(entries, state)
        assert encoded.offset == len(data)
        data += encoded.data
        expected += [*entries, state]
    records = decode_log(data)
    assert [record.type for record in records[:2]] == [4, 1] and records[1].data == METADATA
    decoded = [decode_entry_fields(r.data) if r.type == 2 else decode_state_fields(r.data) for r in records[2:]]
    assert decoded == expected
    assert [record.data for record in records[2:]] == [item.encode() for item in expected]


def test_what_must_be_synced() -> None:
    """Entries, a new term and a new vote; not a mere commit. Upstream: raft.MustSync."""
    encoder, _ = begun()
    assert encoder.encode([Entry(1, 1, 0, b"x")], None).must_sync
    assert encoder.encode([], HardState(1, 0, 0)).must_sync
    assert encoder.encode([], HardState(1, 7, 0)).must_sync
    assert not encoder.encode([], HardState(1, 7, 1)).must_sync
    assert encoder.encode([], HardState(2, 7, 1)).must_sync
    assert encoder.encode([Entry(2, 2)], HardState(2, 7, 1)).must_sync
    assert encoder.encode_snapshot(WalSnapshot(1, 1, ConfState([1]))).must_sync
    nothing = encoder.encode([], None)
    assert not nothing.must_sync and not nothing.data


def test_a_segment_ends_after_the_batch_that_fills_it() -> None:
    encoder, head = begun(segment_bytes=1000)
    first = encoder.encode([Entry(1, 1, 0, b"x" * 700)], HardState(1, 5, 1))
    assert first.cut is None
    second = encoder.encode([Entry(1, 2, 0, b"y" * 700), Entry(1, 3, 0, b"z")], None)
    assert second.cut is not None
    assert second.cut.end == len(head) + len(first.data) + len(second.data)
    assert second.cut.name == SegmentName(1, 4)
    crc = decode_log(head + first.data + second.data)[-1].crc
    crc_record, metadata, state = decode_log(second.cut.head)
    assert (crc_record.type, crc_record.crc, crc_record.data) == (4, crc, b"")
    assert metadata.data == METADATA
    assert decode_state_fields(state.data) == HardState(1, 5, 1)
    third = encoder.encode([Entry(1, 4, 0, b"w")], None)
    assert third.offset == len(second.cut.head)
    decode_log(second.cut.head + third.data)


@pytest.mark.parametrize(
    ("entries", "state"),
    [
        ([Entry(1, 7)], None),
        ([Entry(1, 5)], HardState(1, 1, 6)),
        ([Entry(1, 2)], None),
        ([Entry(1, 6), Entry(1, 8)], None),
        ([Entry(0, 6)], None),
        ([Entry(1, 6, 1)], None),
        ([], HardState(1, 1, 6)),
        ([], HardState(2, 1, 2)),
        ([], HardState(1, 1, 3)),
    ],
    ids=["gap", "commit", "committed", "hole", "term 0", "no change", "beyond", "commit back", "term back"],
)
def test_what_could_not_be_read_again_is_not_written(entries: list[Entry], state: HardState | None) -> None:
    encoder, _ = begun(last_index=5)
    encoder.hard_state = HardState(2, 1, 3)
    with pytest.raises(InvariantError):
        encoder.encode(entries, state)


def test_a_snapshot_note_needs_its_conf_state() -> None:
    with pytest.raises(InvariantError):
        begun(last_index=5)[0].encode_snapshot(WalSnapshot(3, 1))
