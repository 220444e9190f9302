"""One event of the history: a key was set or deleted at a revision."""

from __future__ import annotations


class Change:
    """`kv_bytes` is a serialized KeyValue, as an event carries it; a deletion has only key and mod_revision."""

    __slots__ = ("key", "kv_bytes", "is_delete", "revision")

    def __init__(self, key: bytes, kv_bytes: bytes, is_delete: bool, revision: int) -> None:
        self.key = key
        self.kv_bytes = kv_bytes
        self.is_delete = is_delete
        self.revision = revision  # Main revision; all changes of one transaction share it.

    def __repr__(self) -> str:
        kind = "delete" if self.is_delete else "put"
        return f"Change({kind} {self.key!r} at {self.revision})"
