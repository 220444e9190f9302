"""The msgapp stream: golden bytes of each kind of frame, when which kind goes, any cut, caps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcdpy.pb.raft_values import Entry, Message
from etcdpy.raft.constants import MSG_APP
from etcdpy.transport.peer.frames import ENTRIES_MAX, FRAME_BYTES_MAX, FrameError
from etcdpy.transport.peer.msgapp import MSGAPP_LINK_HEARTBEAT_FRAME, MsgAppEncoder, MsgAppFrames

LOCAL, REMOTE = 7, 9


def append(index: int, count: int, *, term: int = 2, log_term: int = 2, commit: int = 0) -> Message:
    entries = [Entry(term, index + offset, 0, b"e%d" % (index + offset)) for offset in range(1, count + 1)]
    return Message(MSG_APP, LOCAL, REMOTE, term, log_term, index, entries, commit)


def u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def fields_of(message: Message) -> tuple[object, ...]:
    return (
        message.type,
        message.to,
        message.from_,
        message.term,
        message.log_term,
        message.index,
        message.entries,
        message.commit,
    )


def test_the_first_append_is_a_whole_message() -> None:
    message = append(4, 1)
    encoded = message.encode()

    assert MsgAppEncoder().encode(message) == b"\x02" + u64(len(encoded)) + encoded


def test_what_follows_is_entries_and_a_commit() -> None:
    encoder = MsgAppEncoder()
    encoder.encode(append(4, 1))

    assert encoder.encode(append(5, 2, commit=5)) == (
        b"\x01"
        + u64(2)
        + u64(10)
        + b"\x08\x00\x10\x02\x18\x06\x22\x02e6"
        + u64(10)
        + b"\x08\x00\x10\x02\x18\x07\x22\x02e7"
        + u64(5)
    )
    assert encoder.encode(append(7, 0, commit=7)) == b"\x01" + u64(0) + u64(7)


def test_a_link_heartbeat_is_one_byte() -> None:
    assert MSGAPP_LINK_HEARTBEAT_FRAME == b"\x00"
    assert MsgAppFrames(local=LOCAL, remote=REMOTE).feed(b"\x00\x00\x00") == []


@pytest.mark.parametrize(
    "message",
    [append(6, 1), append(4, 1), append(5, 1, term=3), append(5, 1, term=3, log_term=3), append(5, 1, log_term=1)],
    ids=["gap", "again", "newer term", "newer log", "older log"],
)
def test_what_does_not_continue_starts_anew(message: Message) -> None:
    encoder = MsgAppEncoder()
    encoder.encode(append(4, 1))

    assert encoder.encode(message)[0] == 2


def test_an_empty_append_at_the_beginning_of_the_log_is_a_whole_message() -> None:
    """Both sides start at term 0 and index 0, which no message may claim to continue."""
    assert MsgAppEncoder().encode(append(0, 1, term=0, log_term=0))[0] == 2


def test_both_sides_stay_in_step() -> None:
    encoder, frames = MsgAppEncoder(), MsgAppFrames(local=LOCAL, remote=REMOTE)
    messages = [
        append(0, 3, log_term=0),
        append(3, 2),
        append(5, 0, commit=5),
        append(5, 4),
        append(2, 2),
        append(4, 1),
    ]
    data = [encoder.encode(message) for message in messages]

    assert [frame[0] for frame in data] == [2, 1, 1, 1, 2, 1]
    got = [message for frame in data for message in frames.feed(frame)]
    assert [fields_of(message) for message in got] == [fields_of(message) for message in messages]


@given(st.lists(st.integers(1, 60), max_size=60))
def test_frames_come_out_whole_however_they_are_cut(cuts: list[int]) -> None:
    encoder, frames, got = MsgAppEncoder(), MsgAppFrames(local=LOCAL, remote=REMOTE), []
    messages = [append(0, 3, log_term=0), append(3, 5), append(8, 1), append(2, 2)]
    data = b"\x00".join(encoder.encode(message) for message in messages)
    for cut in cuts:
        got += frames.feed(data[:cut])
        data = data[cut:]
    got += frames.feed(data)

    assert [fields_of(message) for message in got] == [fields_of(message) for message in messages]


START = MsgAppEncoder().encode(append(4, 1))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x03", "unknown kind"),
        (b"\x01" + u64(1), "follow nothing"),
        (START + b"\x01" + u64(ENTRIES_MAX + 1), "entries in a message"),
        (START + b"\x01" + u64(2) + u64(FRAME_BYTES_MAX + 1), "536870913 bytes"),
        (START + b"\x01" + u64(1) + u64(1) + b"\xff", "no raft entry"),
        (b"\x02" + u64(FRAME_BYTES_MAX + 1), "536870913 bytes"),
        (b"\x02" + u64(1) + b"\xff", "no raft message"),
    ],
)
def test_garbage_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        MsgAppFrames(local=LOCAL, remote=REMOTE).feed(data)


def test_entries_together_may_not_be_larger_than_a_frame() -> None:
    """Each is small enough; what counts is what is held until the last one has come."""
    frames = MsgAppFrames(local=LOCAL, remote=REMOTE, frame_bytes_max=1_000)
    frames.feed(START + b"\x01" + u64(100))
    entry = Entry(2, 5, 0, bytes(500)).encode()
    frames.feed(u64(len(entry)) + entry)

    with pytest.raises(FrameError, match="1000 are allowed"):
        frames.feed(u64(len(entry)) + entry)
