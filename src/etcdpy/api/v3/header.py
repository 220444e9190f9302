"""The header of every v3 answer, spliced from bytes that hardly change (facts 1.4).

An answer from below is a revision and the response without its `header` field. Here the field is put in front. It is
field 1, so the result is the very message that Go would encode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from etcdpy.base.varint import encode_varint
from etcdpy.state.mvcc.answer import Answer

# A varint has no more bytes.
REVISION_BYTES_MAX: Final = 10

_CLUSTER_TAG, _MEMBER_TAG, _REVISION_TAG, _TERM_TAG = b"\x08", b"\x10", b"\x18", b"\x20"


class HeaderEncoder:
    """Encodes ResponseHeader{cluster_id, member_id, revision, raft_term} for one member."""

    __slots__ = (
        "cluster_id",
        "member_id",
        "_get_term",
        "_get_revision",
        "_ids",
        "_term",
        "_term_bytes",
        "_starts",
        "_revision",
        "_header",
    )

    def __init__(
        self, *, cluster_id: int, member_id: int, get_term: Callable[[], int], get_revision: Callable[[], int]
    ) -> None:
        self.cluster_id = cluster_id
        self.member_id = member_id
        self._get_term = get_term
        self._get_revision = get_revision
        self._ids = _CLUSTER_TAG + encode_varint(cluster_id) + _MEMBER_TAG + encode_varint(member_id)
        self._term = -1
        self._term_bytes = b""
        self._starts: list[bytes] = []  # Invariant: for `_term`, by the revision's length: all before the revision.
        self._revision = -1
        self._header = b""  # Invariant: the header field for (_revision, _term).

    def encode(self, revision: int) -> bytes:
        """Return the header field for `revision`; 0 stands for the current one, as in etcd."""
        term = self._get_term()
        if term != self._term:
            self._remember_term(term)
        if revision == 0:
            revision = self._get_revision()
        if revision != self._revision:
            encoded = encode_varint(revision)
            self._header = self._starts[len(encoded)] + encoded + self._term_bytes
            self._revision = revision
        return self._header

    def _remember_term(self, term: int) -> None:
        self._term = term
        self._term_bytes = _TERM_TAG + encode_varint(term)
        self._revision = -1
        around = len(self._ids) + len(_REVISION_TAG) + len(self._term_bytes)
        self._starts = [
            b"\x0a" + encode_varint(around + length) + self._ids + _REVISION_TAG
            for length in range(REVISION_BYTES_MAX + 1)
        ]

    def encode_without_revision(self) -> bytes:
        """Return the header field of a Member* answer, which carries no revision."""
        content = self._ids + _TERM_TAG + encode_varint(self._get_term())
        return b"\x0a" + encode_varint(len(content)) + content

    def complete(self, answer: Answer) -> bytes:
        """Return the whole response message."""
        return self.encode(answer.revision) + answer.body
