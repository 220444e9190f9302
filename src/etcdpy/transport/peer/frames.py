"""Cuts a stream of bytes into frames, whatever pieces they come in, and the `message` stream's frames.

    message stream:  u64 big-endian length, raftpb.Message; repeated

A frame is held until it is whole, so what a peer can make us hold is the largest frame that we take. A length is looked
at before anything is kept for it; bytes are kept as they come, never reserved on a peer's word.

Upstream: rafthttp/message_codec.go (facts 7.2).
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from google.protobuf.message import DecodeError

from etcdpy.base.varint import decode_varint
from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import MSG_HEARTBEAT

# etcd's readBytesLimit.
FRAME_BYTES_MAX: Final = 512 * 1024 * 1024
# An entry of two bytes becomes an object of a hundred. etcd fills a message up to 1 MiB with entries of at least six
# bytes, or with one larger entry: an honest message never has so many.
ENTRIES_MAX: Final = 1 << 18
# Below this size the entries of a message need not be counted: they cannot be too many.
COUNTED_FROM_BYTES: Final = 2 * ENTRIES_MAX

U64: Final = Struct(">Q")
NOTHING: Final[list[Message]] = []


class FrameError(Exception):
    """What came is not what such a stream may carry. The connection is worth nothing any more."""


class FrameReader:
    """Bytes in, messages out. Link heartbeats are taken out: their arrival was what they had to say."""

    def __init__(self, *, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._kept = bytearray()  # Invariant: shorter than `_needed_bytes`.
        self._needed_bytes = 1

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that `data` completes. Raise FrameError; the reader is then of no more use."""
        if self._kept:
            self._kept += data
            if len(self._kept) < self._needed_bytes:
                return NOTHING
            data = bytes(self._kept)
            self._kept.clear()
        messages: list[Message] = []
        position, end = 0, len(data)
        while position < end:
            after = self._take(data, position, messages)
            if after == position:
                self._kept += memoryview(data)[position:]
                break
            position = after
        return messages

    def _take(self, data: bytes, position: int, messages: list[Message]) -> int:
        """Take one step from `position` and return where the next begins; the same: bytes are missing."""
        end = self._find_end(data, position, position)
        if not end:
            return position
        message = decode_message(data[position + U64.size : end])
        if not is_link_heartbeat(message):
            messages.append(message)
        return end

    def _find_end(self, data: bytes, start: int, position: int) -> int:
        """Return where the bytes end whose length stands at `position`; 0 where they are not all there yet.

        The step began at `start`.
        """
        if not self._has(data, start, position + U64.size):
            return 0
        end: int = position + U64.size + self._check_size(U64.unpack_from(data, position)[0])
        return end if self._has(data, start, end) else 0

    def _has(self, data: bytes, start: int, end: int) -> bool:
        if len(data) >= end:
            return True
        self._needed_bytes = end - start
        return False

    def _check_size(self, size: int) -> int:
        if size > self._frame_bytes_max:
            raise FrameError(f"a frame of {size} bytes, {self._frame_bytes_max} are allowed")
        return size


class MessageFrames(FrameReader):
    """The frames of the `message` stream: those of the base."""


def check_entries(count: int) -> int:
    if count > ENTRIES_MAX:
        raise FrameError(f"{count} entries in a message, {ENTRIES_MAX} are allowed")
    return count


def decode_message(data: bytes) -> Message:
    """Return the message, or raise FrameError for what is none or would become far larger than it is."""
    if len(data) > COUNTED_FROM_BYTES:
        _count_entries(data)
    try:
        return Message.decode(data)
    except DecodeError as error:
        raise FrameError(f"no raft message: {error}") from error


def _count_entries(data: bytes) -> None:
    """Walk over the message's own fields, no deeper, and raise FrameError where it has too many entries."""
    position = count = 0
    while position < len(data):
        tag = data[position]
        _, position = _skip_varint(data, position)
        kind = tag & 7
        if kind == 0:
            _, position = _skip_varint(data, position)
        elif kind == 2:
            size, position = _skip_varint(data, position)
            position += size
        elif kind in (1, 5):
            position += 8 if kind == 1 else 4
        else:
            raise FrameError(f"no raft message: wire type {kind}")
        # Every field costs something, known or not.
        count += 1
        check_entries(count)


def _skip_varint(data: bytes, position: int) -> tuple[int, int]:
    try:
        return decode_varint(data, position)
    except ValueError as error:
        raise FrameError(f"no raft message: {error}") from error


def encode_message_frame(message: Message) -> bytes:
    """Return the message as a frame of the `message` stream."""
    encoded = message.encode()
    return U64.pack(len(encoded)) + encoded


def is_link_heartbeat(message: Message) -> bool:
    """Whether the message only shows that the link lives: a heartbeat of nobody to nobody."""
    return message.type == MSG_HEARTBEAT and not message.from_ and not message.to


LINK_HEARTBEAT_FRAME: Final = encode_message_frame(Message(MSG_HEARTBEAT))
