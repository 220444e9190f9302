"""Frames of the message stream: golden bytes, any cut, caps before memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcdpy.pb.raft_values import Entry, Message
from etcdpy.raft.constants import MSG_APP, MSG_HEARTBEAT, MSG_HEARTBEAT_RESP
from etcdpy.transport.peer.frames import (
    COUNTED_FROM_BYTES,
    ENTRIES_MAX,
    FRAME_BYTES_MAX,
    LINK_HEARTBEAT_FRAME,
    FrameError,
    MessageFrames,
    decode_message,
    encode_message_frame,
    is_link_heartbeat,
)

# What a real 3.5.1 (994d2631bf8889ce) wrote to a learner (8bd0bbbf1f3d0919).
REAL_HEARTBEAT = bytes.fromhex(
    "080810999 2f4f9f1f7aee88b01 18ce93a2fc9bc6c9a69901 2002 2800 3000 4000 4a0a12080a02280010001800 5000 5800".replace(
        " ", ""
    )
)


def test_a_heartbeat_is_byte_for_byte_what_etcd_writes() -> None:
    message = Message(MSG_HEARTBEAT, 0x8BD0BBBF1F3D0919, 0x994D2631BF8889CE, 2)

    assert encode_message_frame(message) == (48).to_bytes(8, "big") + REAL_HEARTBEAT
    assert len(REAL_HEARTBEAT) == 48


def test_a_link_heartbeat_is_a_message_of_nobody() -> None:
    assert LINK_HEARTBEAT_FRAME.hex() == (
        "000000000000001e" + "08081000180020002800300040004a0a12080a0228001000180050005800"
    )
    assert MessageFrames().feed(LINK_HEARTBEAT_FRAME) == []
    assert is_link_heartbeat(Message(MSG_HEARTBEAT)) and not is_link_heartbeat(Message(MSG_HEARTBEAT, 1))


@given(st.lists(st.integers(1, 40), max_size=60), st.lists(st.binary(max_size=50), min_size=1, max_size=6))
def test_frames_come_out_whole_however_they_are_cut(cuts: list[int], contexts: list[bytes]) -> None:
    messages = [Message(MSG_HEARTBEAT_RESP, 1, 2, context=context) for context in contexts]
    data = LINK_HEARTBEAT_FRAME.join(map(encode_message_frame, messages))
    frames, got = MessageFrames(), []
    for cut in cuts:
        got += frames.feed(data[:cut])
        data = data[cut:]
    got += frames.feed(data)

    assert [message.context for message in got] == contexts


def test_a_length_is_refused_before_anything_is_kept_for_it() -> None:
    with pytest.raises(FrameError, match="536870913 bytes"):
        MessageFrames().feed((FRAME_BYTES_MAX + 1).to_bytes(8, "big"))


@pytest.mark.parametrize("garbage", [b"\xff", b"\x0a\xff\xff", b"\x08"])
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(FrameError, match="no raft message"):
        MessageFrames().feed(len(garbage).to_bytes(8, "big") + garbage)


@pytest.mark.parametrize(
    "small", [b":\x00", b"\x72\x00", b"\x08\x00", b"\x7a\x00"], ids=["entry", "response", "type", "?"]
)
def test_a_message_that_would_become_far_larger_is_refused(small: bytes) -> None:
    with pytest.raises(FrameError, match="entries in a message"):
        decode_message(small * (ENTRIES_MAX + 1))


@pytest.mark.parametrize("end", [b"\x0b", b"\x08", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x3a\x7f"])
def test_a_large_message_of_garbage_is_refused(end: bytes) -> None:
    with pytest.raises(FrameError, match="no raft message"):
        decode_message(b"\x62\x80\x80\x40" + bytes(1 << 20) + end)


def test_a_large_message_is_read() -> None:
    entries = [Entry(1, index, 0, b"x" * 100) for index in range(1, 20_001)]
    message = Message(MSG_APP, 1, 2, 1, 0, 0, entries, 3)
    encoded = message.encode() + b"\x79" + bytes(8) + b"\x7d" + bytes(4)

    assert len(encoded) > COUNTED_FROM_BYTES
    assert decode_message(encoded).entries == entries
