"""What the state machine asks of its store: buckets to read and write, and a boundary after each entry.

The backend is one, the simulator's another. What is compiled takes either: a class given as a type there would admit
no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from etcdpy.storage.backend.reader import Item
from etcdpy.storage.schema.buckets import Bucket


class BucketStore(Protocol):
    """See `Backend`, whose methods these are."""

    def put(self, bucket: Bucket, key: bytes, value: bytes, /) -> None: ...

    def delete(self, bucket: Bucket, key: bytes, /) -> None: ...

    def end_entry(self, index: int, term: int, /) -> None: ...

    def end_batch(self) -> None: ...

    def get(self, bucket: Bucket, key: bytes, /) -> bytes | None: ...

    def get_records(self, records: Sequence[bytes], /) -> list[bytes | None]:
        """Return the values of the first of `records`, one at least: as many as a turn may take."""

    def get_many(self, bucket: Bucket, keys: Iterable[bytes], /) -> list[bytes | None]: ...

    def scan(
        self, bucket: Bucket, start: bytes, end: bytes | None, limit: int = 0, reverse: bool = False
    ) -> list[Item]: ...

    @property
    def consistent_index(self) -> int: ...

    @property
    def term(self) -> int: ...
