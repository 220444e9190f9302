"""The header of every v3 answer, spliced from bytes that hardly change (facts 1.4).

An answer from below is (revision, body): the response without its `header` field. Here the field is put in front. It is
field 1, so the result is the very message that Go would encode.
"""

from __future__ import annotations

from collections.abc import Callable

from etcdpy.base.varint import encode_varint
from etcdpy.state.mvcc.answer import Answer

_CLUSTER_TAG, _MEMBER_TAG, _REVISION_TAG, _TERM_TAG = b"\x08", b"\x10", b"\x18", b"\x20"


class HeaderEncoder:
    """Encodes ResponseHeader{cluster_id, member_id, revision, raft_term} for one member."""

    __slots__ = ("cluster_id", "member_id", "_get_term", "_get_revision", "_ids", "_term", "_revision", "_header")

    def __init__(
        self, *, cluster_id: int, member_id: int, get_term: Callable[[], int], get_revision: Callable[[], int]
    ) -> None:
        self.cluster_id = cluster_id
        self.member_id = member_id
        self._get_term = get_term
        self._get_revision = get_revision
        self._ids = _CLUSTER_TAG + encode_varint(cluster_id) + _MEMBER_TAG + encode_varint(member_id)
        self._term = -1
        self._revision = -1
        self._header = b""  # Invariant: the header field for (_revision, _term).

    def encode(self, revision: int) -> bytes:
        """Return the header field for `revision`; 0 stands for the current one, as in etcd."""
        term = self._get_term()
        if revision == 0:
            revision = self._get_revision()
        if revision != self._revision or term != self._term:
            content = self._ids
            if revision:
                content += _REVISION_TAG + encode_varint(revision)
            if term:
                content += _TERM_TAG + encode_varint(term)
            self._revision, self._term = revision, term
            self._header = b"\x0a" + encode_varint(len(content)) + content
        return self._header

    def encode_without_revision(self) -> bytes:
        """Return the header field of a Member* answer, which carries no revision."""
        content = self._ids + _TERM_TAG + encode_varint(self._get_term())
        return b"\x0a" + encode_varint(len(content)) + content

    def complete(self, answer: Answer) -> bytes:
        """Return the whole response message."""
        return self.encode(answer.revision) + answer.body
