"""WatchResponse as bytes: every field is written where protobuf would write it, without a message object.

    header   watch_id   created  canceled  compact_revision  cancel_reason  fragment  events ...
    0a       10         18 01    20 01     28                32             38 01     5a ...

Everything before the watch id and everything after it is the same for all watchers that are told the same. So what
is sent to a thousand of them is one `Fanout`: the two shared parts, and the thousand little id fields between.
Whoever writes it to a stream joins them; until then the body exists once.

Zero fields are left out, as proto3 does: watcher 0 has an empty id field.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from etcdpy.base.varint import encode_varint

CREATED: Final = b"\x18\x01"
CANCELED: Final = b"\x20\x01"
FRAGMENT: Final = b"\x38\x01"

# A header with four ten-byte numbers and an id field: what a response weighs besides its events, at most.
ENVELOPE_BYTES_MAX: Final = 2 + 4 * 11 + 11


class Fanout:
    """One body for many watchers of a stream: each id field makes one message `head + field + tail`.

    The parts are never changed after the Fanout was handed out. All `id_fields` have one length, so every message has
    the same size.
    """

    __slots__ = ("head", "id_fields", "tail")

    def __init__(self, head: bytes, id_fields: Sequence[bytes], tail: bytes) -> None:
        self.head = head
        self.id_fields = id_fields
        self.tail = tail

    def __reduce__(self) -> tuple[type[Fanout], tuple[bytes, Sequence[bytes], bytes]]:
        return (Fanout, (self.head, self.id_fields, self.tail))

    @property
    def message_bytes(self) -> int:
        return len(self.head) + len(self.id_fields[0]) + len(self.tail)

    def messages(self) -> list[bytes]:
        """Return one message per watcher."""
        head, tail = self.head, self.tail
        return [head + field + tail for field in self.id_fields]

    def join_after(self, prefix: bytes) -> bytes:
        """Return all messages in one piece, each with `prefix` (a length, say) before it."""
        lead = prefix + self.head
        return lead + (self.tail + lead).join(self.id_fields) + self.tail


Item = bytes | Fanout


def encode_header(cluster_id: int, member_id: int, revision: int, raft_term: int) -> bytes:
    """Return the header field of a response, its tag and length included."""
    body = _encode_ids(cluster_id, member_id)
    if revision:
        body += b"\x18" + encode_varint(revision)
    if raft_term:
        body += b"\x20" + encode_varint(raft_term)
    return b"\x0a" + encode_varint(len(body)) + body


@lru_cache(maxsize=4)
def _encode_ids(cluster_id: int, member_id: int) -> bytes:
    ids = b"\x08" + encode_varint(cluster_id) if cluster_id else b""
    return ids + b"\x10" + encode_varint(member_id) if member_id else ids


def encode_id_field(watch_id: int) -> bytes:
    return b"\x10" + encode_varint(watch_id) if watch_id else b""


# The id in responses that belong to no watcher: failed creations, and progress of the whole stream.
NO_WATCHER_FIELD: Final = encode_id_field(-1)


def encode_reason(text: str) -> bytes:
    data = text.encode()
    return b"\x32" + encode_varint(len(data)) + data if data else b""


def encode_compact_revision(revision: int) -> bytes:
    return b"\x28" + encode_varint(revision) if revision else b""
