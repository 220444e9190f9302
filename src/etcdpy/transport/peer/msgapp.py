"""The `msgapp` stream (etcd calls it MsgApp v2): appends that follow each other, without repeating who, where and when.

    0                                                            link heartbeat
    1  u64 count  count x (u64 length, raftpb.Entry)  u64 commit     entries behind the last ones
    2  u64 length  raftpb.Message                                a whole message: the start of a sequence

Both sides keep term and index of the last entry that went over. A message goes as kind 1 if it continues exactly there
and its log is all of one term: index and log term are the kept ones, and its own term is that, too. Kind 2 sets both
anew. Addresses are those of the two ends.

Numbers are big-endian. Upstream: rafthttp/msgappv2_codec.go (facts 7.2).
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from etcdpy.pb.raft_values import Entry, Message
from etcdpy.raft.constants import MSG_APP
from etcdpy.transport.peer.frames import (
    FRAME_BYTES_MAX,
    U64,
    FrameError,
    FrameReader,
    check_entries,
    decode_message,
    is_link_heartbeat,
)

_LINK_HEARTBEAT: Final = 0
_ENTRIES: Final = 1
_MESSAGE: Final = 2

MSGAPP_LINK_HEARTBEAT_FRAME: Final = b"\x00"


class MsgAppEncoder:
    """The sending side of one connection."""

    def __init__(self) -> None:
        # The last entry that the other side has from here; both 0 before the first message.
        self._term = 0
        self._index = 0

    def encode(self, message: Message) -> bytes:
        """Return the frame of a MsgApp, and remember how far it leads."""
        entries = message.entries
        if message.index == self._index and message.log_term == self._term == message.term and self._term:
            self._index += len(entries)
            return self._encode_entries(entries, message.commit)
        self._term = message.term
        self._index = entries[-1].index if entries else message.index
        encoded = message.encode()
        return b"\x02" + U64.pack(len(encoded)) + encoded

    def _encode_entries(self, entries: list[Entry], commit: int) -> bytes:
        parts = [b"\x01" + U64.pack(len(entries))]
        for entry in entries:
            encoded = entry.encode()
            parts.append(U64.pack(len(encoded)))
            parts.append(encoded)
        parts.append(U64.pack(commit))
        return b"".join(parts)


class MsgAppFrames(FrameReader):
    """The receiving side of one connection, at member `local`, of what `remote` sends."""

    def __init__(self, *, local: int, remote: int, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        super().__init__(frame_bytes_max=frame_bytes_max)
        self._local = local
        self._remote = remote
        self._term = 0
        self._index = 0
        # Invariant: None between frames; inside one of kind 1 the entries so far, `_missing` of them to come.
        self._entries: list[Entry] | None = None
        self._missing = 0
        self._entries_bytes = 0

    def _take(self, data: bytes, position: int, messages: list[Message]) -> int:
        if self._entries is not None:
            if self._missing:
                return self._take_entry(data, position, self._entries)
            return self._take_commit(data, position, self._entries, messages)
        kind = data[position]
        if kind == _ENTRIES:
            return self._begin_entries(data, position)
        if kind == _MESSAGE:
            return self._take_message(data, position, messages)
        if kind == _LINK_HEARTBEAT:
            return position + 1
        raise FrameError(f"unknown kind of frame {kind}")

    def _begin_entries(self, data: bytes, position: int) -> int:
        if not self._has(data, position, position + 9):
            return position
        if not self._term:
            raise FrameError("entries that follow nothing")
        self._missing = check_entries(U64.unpack_from(data, position + 1)[0])
        self._entries = []
        self._entries_bytes = 0
        return position + 9

    def _take_entry(self, data: bytes, position: int, entries: list[Entry]) -> int:
        end = self._find_end(data, position, position)
        if not end:
            return position
        self._entries_bytes = self._check_size(self._entries_bytes + end - position)
        try:
            entries.append(Entry.decode(data[position + 8 : end]))
        except DecodeError as error:
            raise FrameError(f"no raft entry: {error}") from error
        self._missing -= 1
        return end

    def _take_commit(self, data: bytes, position: int, entries: list[Entry], messages: list[Message]) -> int:
        if not self._has(data, position, position + 8):
            return position
        commit = U64.unpack_from(data, position)[0]
        messages.append(
            Message(MSG_APP, self._local, self._remote, self._term, self._term, self._index, entries, commit)
        )
        self._index += len(entries)
        self._entries = None
        return position + 8

    def _take_message(self, data: bytes, position: int, messages: list[Message]) -> int:
        end = self._find_end(data, position, position + 1)
        if not end:
            return position
        message = decode_message(data[position + 9 : end])
        self._term = message.term
        self._index = message.entries[-1].index if message.entries else message.index
        if not is_link_heartbeat(message):
            messages.append(message)
        return end
