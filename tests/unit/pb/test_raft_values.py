"""raft's nouns and their bytes: those that Go writes, zero fields and all."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import (
    ENTRY_CONF_CHANGE,
    ENTRY_NORMAL,
    ConfState,
    Entry,
    HardState,
    Message,
    Snapshot,
)

U64 = st.integers(0, (1 << 64) - 1)
ENTRIES = st.builds(
    Entry, term=U64, index=U64, type=st.sampled_from([ENTRY_NORMAL, ENTRY_CONF_CHANGE]), data=st.binary(max_size=300)
)


def test_an_entry_of_zeros_is_written_out() -> None:
    """Go's fields are not nullable: each is written, zero or not. Only `Data`, a slice, may be missing."""
    assert Entry().encode() == b"\x08\x00\x10\x00\x18\x00"
    assert Entry(2, 300, ENTRY_CONF_CHANGE, b"ab").encode() == b"\x08\x01\x10\x02\x18\xac\x02\x22\x02ab"


def test_a_hard_state_of_zeros_is_written_out() -> None:
    assert HardState().encode() == b"\x08\x00\x10\x00\x18\x00"
    assert HardState(1, 2, 300).encode() == b"\x08\x01\x10\x02\x18\xac\x02"


@given(ENTRIES)
def test_entries_are_what_protobuf_writes_and_reads(entry: Entry) -> None:
    message = raft_pb2.Entry(Type=entry.type, Term=entry.term, Index=entry.index)  # type: ignore[arg-type]
    if entry.data:
        message.Data = entry.data

    assert entry.encode() == message.SerializeToString()
    assert Entry.decode(entry.encode()) == entry


@given(U64, U64, U64)
def test_hard_states_are_what_protobuf_writes_and_reads(term: int, vote: int, commit: int) -> None:
    state = HardState(term, vote, commit)

    assert state.encode() == raft_pb2.HardState(term=term, vote=vote, commit=commit).SerializeToString()
    assert HardState.decode(state.encode()) == state


def test_fields_that_others_leave_out_are_zero() -> None:
    assert Entry.decode(b"") == Entry()
    assert HardState.decode(b"\x10\x05") == HardState(0, 5, 0)


@pytest.mark.parametrize("decode", [Entry.decode, HardState.decode])
def test_garbage_is_refused(decode: object) -> None:
    with pytest.raises(DecodeError):
        decode(b"\xff")  # type: ignore[operator]


def test_what_the_proposer_knows_of_an_entry_is_neither_written_nor_compared() -> None:
    known, plain = Entry(1, 2, 0, b"x", request="decoded"), Entry(1, 2, 0, b"x")

    assert known == plain and known.encode() == plain.encode()
    assert Entry.decode(known.encode()).request is None


def test_empty_states_say_so() -> None:
    assert HardState().is_empty() and Snapshot().is_empty()
    assert not HardState(vote=1).is_empty() and not Snapshot(index=1).is_empty()


def test_configurations_are_compared_as_sets() -> None:
    assert ConfState([1, 2]) == ConfState([2, 1])
    assert ConfState([1, 2]) != ConfState([1], learners=[2])
    assert ConfState([1]) != ConfState([1], auto_leave=True)


def test_a_configuration_survives_its_message() -> None:
    state = ConfState([1, 2], [3], [1], [4], True)

    assert ConfState.from_pb(state.to_pb()) == state


def test_two_default_configurations_share_nothing() -> None:
    first, second = ConfState(), ConfState()
    first.voters.append(1)

    assert second.voters == []


def test_a_snapshot_survives_its_message() -> None:
    snapshot = Snapshot(b"tree", 9, 2, ConfState([1]))
    copy = Snapshot.from_pb(snapshot.to_pb())

    assert (copy.data, copy.index, copy.term, copy.conf_state) == (b"tree", 9, 2, ConfState([1]))


# All but the nested ones.
PLAIN_FIELDS = "type to from_ term log_term index entries commit vote reject reject_hint context".split()


@given(
    type=st.integers(0, 23),
    numbers=st.lists(U64, min_size=8, max_size=8),
    entries=st.lists(ENTRIES, max_size=3),
    reject=st.booleans(),
    context=st.binary(max_size=9),
)
def test_messages_survive_the_wire(
    type: int, numbers: list[int], entries: list[Entry], reject: bool, context: bytes
) -> None:
    to, from_, term, log_term, index, commit, vote, hint = numbers
    response = Message(4, to=from_, from_=to, term=term)
    message = Message(
        type, to, from_, term, log_term, index, entries, commit, vote, None, reject, hint, context, [response]
    )
    copy = Message.from_pb(raft_pb2.Message.FromString(message.to_pb().SerializeToString()))

    for name in PLAIN_FIELDS:
        assert getattr(copy, name) == getattr(message, name), name
    assert copy.snapshot is None
    assert [(found.type, found.to, found.from_) for found in copy.responses] == [(4, from_, to)]


def test_a_message_may_carry_a_snapshot() -> None:
    message = Message(7, to=1, from_=2, snapshot=Snapshot(b"tree", 9, 2, ConfState([1])))
    copy = Message.from_pb(message.to_pb())

    assert copy.snapshot is not None and (copy.snapshot.index, copy.snapshot.data) == (9, b"tree")


def test_values_describe_themselves() -> None:
    assert repr(Entry(1, 2, 0, b"x")) == "Entry(term=1, index=2, type=0, data=b'x')"
    assert repr(HardState(1, 2, 3)) == "HardState(term=1, vote=2, commit=3)"
    assert repr(Message(3, to=0xB, from_=0xA, term=1, index=2)) == "Message(MsgApp, a->b, term=1, index=2)"
    assert "4 bytes" in repr(Snapshot(b"tree", 1, 1))


MESSAGES = st.builds(
    Message,
    type=st.integers(0, 18).filter(lambda kind: kind != raft_pb2.MsgSnap),
    to=U64,
    from_=U64,
    term=U64,
    log_term=U64,
    index=U64,
    entries=st.lists(ENTRIES, max_size=4),
    commit=U64,
    reject=st.booleans(),
    reject_hint=U64,
    context=st.binary(max_size=40),
)


def fields_of(message: Message) -> dict[str, object]:
    names = (
        "type",
        "to",
        "from_",
        "term",
        "log_term",
        "index",
        "entries",
        "commit",
        "vote",
        "reject",
        "reject_hint",
        "context",
    )
    return {name: getattr(message, name) for name in names}


def test_a_message_of_zeros_is_written_out_with_the_snapshot_it_does_not_have() -> None:
    """Bytes as a real 3.5.1 sends them."""
    assert Message(8).encode() == bytes.fromhex("08081000180020002800300040004a0a12080a02280010001800" + "50005800")


@given(MESSAGES)
def test_messages_are_what_protobuf_writes_and_reads(message: Message) -> None:
    written = message.to_pb()
    written.ClearField("vote")
    written.snapshot.CopyFrom(Snapshot().to_pb())

    assert message.encode() == written.SerializeToString()
    decoded = Message.decode(message.encode())
    assert fields_of(decoded) == fields_of(message) and decoded.snapshot is None


def test_a_message_with_a_snapshot_is_what_protobuf_writes_and_reads() -> None:
    message = Message(raft_pb2.MsgSnap, 1, 2, 3, snapshot=Snapshot(b"{}", 7, 3, ConfState([1, 2], [4])))
    written = message.to_pb()
    written.ClearField("vote")

    assert message.encode() == written.SerializeToString()
    snapshot = Message.decode(message.encode()).snapshot
    assert snapshot is not None
    assert (snapshot.data, snapshot.index, snapshot.term) == (b"{}", 7, 3)
    assert snapshot.conf_state == ConfState([1, 2], [4])


def test_what_only_storage_threads_are_told_is_written_too() -> None:
    message = Message(1, vote=300, responses=[Message(2, to=9)])
    read = Message.from_pb(raft_pb2.Message.FromString(message.encode()))

    assert read.vote == 300 and [response.to for response in read.responses] == [9]


def test_a_type_of_the_future_is_one_that_nobody_may_send() -> None:
    assert Message.decode(b"\x08\x63").type == raft_pb2.MsgHup


def test_a_message_of_garbage_is_refused() -> None:
    with pytest.raises(DecodeError):
        Message.decode(b"\xff")
