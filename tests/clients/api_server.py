"""How the Kubernetes API server uses etcd: the calls, and the rules that it relies on.

    create    if mod(key) = 0 put, else: it exists
    update    if mod(key) = what was read put, else read again and try once more
    delete    if mod(key) = what was read delete, else read again
    list      pages of a limit, all at the revision of the first; the next begins behind the last key
    watch     a prefix, from the revision after a list's, with previous values and progress notifications
    events    keys that vanish share leases: one for all that are written within a while
    compact   `compact_rev_key` holds the last revision; its version tells rivals apart, and one of them compacts

A transaction whose outcome is unknown (the member died) is no failure: the key says what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from etcdpy.client.client import Client
from etcdpy.client.request import Operation, compare, delete_request, prefix_end, put_request, range_request
from etcdpy.client.request import watch_request as build_watch
from etcdpy.client.watch import Watcher
from etcdpy.pb.kv_pb2 import KeyValue

COMPACT_KEY: Final = b"compact_rev_key"
# Keys per lease: what a lease holds when it ends is deleted at once.
LEASED_KEYS_MAX: Final = 3


class Conflict(Exception):
    """Somebody else changed the key meanwhile; `found` is what is there, None when it is gone."""

    def __init__(self, found: KeyValue | None) -> None:
        super().__init__(found)
        self.found = found


@dataclass(frozen=True, slots=True)
class Page:
    items: list[KeyValue]
    revision: int
    # Where the next page begins, None after the last one.
    next_key: bytes | None
    remaining: int


@dataclass(slots=True)
class SharedLeases:
    """Leases for keys that vanish, each for a number of keys."""

    client: Client
    lease_id: int = 0
    keys: int = 0
    granted: int = field(default=0)

    def take(self, ttl_seconds: int) -> int:
        if not self.lease_id or self.keys == LEASED_KEYS_MAX:
            # The ids are ours, so that two runs may be compared.
            self.granted += 1
            self.lease_id = self.client.lease.grant(ttl_seconds, 0x1000 + self.granted).ID
            self.keys = 0
        self.keys += 1
        return self.lease_id


class Storage:
    """Objects below a prefix, as the API server stores them."""

    def __init__(self, client: Client, prefix: bytes = b"/registry/") -> None:
        self._client = client
        self._prefix = prefix
        self._leases = SharedLeases(client)

    def create(self, name: bytes, value: bytes, *, ttl_seconds: int = 0) -> int:
        """Return the revision. Raise Conflict where it exists."""
        lease = self._leases.take(ttl_seconds) if ttl_seconds else 0
        return self._guarded(name, 0, put_request(self._prefix + name, value, lease=lease))

    def update(self, name: bytes, change: Callable[[bytes], bytes]) -> int:
        """Change what is there now, as often as it takes; return the revision. Raise KeyError."""
        found = self.get(name)
        while found is not None:
            put = put_request(self._prefix + name, change(found.value))
            try:
                return self._guarded(name, found.mod_revision, put)
            except Conflict as conflict:
                found = conflict.found
        raise KeyError(name)

    def delete(self, name: bytes, mod_revision: int) -> int:
        """Delete what was read at `mod_revision`. Raise Conflict where that is not there any more."""
        return self._guarded(name, mod_revision, delete_request(self._prefix + name))

    def _guarded(self, name: bytes, mod_revision: int, operation: Operation) -> int:
        key = self._prefix + name
        answer = self._client.kv.txn([compare("mod", key, "=", mod_revision)], [operation], [range_request(key)])
        if not answer.succeeded:
            raise Conflict(next(iter(answer.responses[0].response_range.kvs), None))
        return answer.header.revision

    def get(self, name: bytes, *, revision: int = 0) -> KeyValue | None:
        return next(iter(self._client.kv.get(self._prefix + name, revision=revision).kvs), None)

    def count(self, kind: bytes) -> int:
        return self._client.kv.get(self._prefix + kind, prefix=True, count_only=True).count

    def page(self, kind: bytes, limit: int, *, revision: int = 0, begin: bytes = b"") -> Page:
        prefix = self._prefix + kind
        answer = self._client.kv.get(begin or prefix, range_end=prefix_end(prefix), limit=limit, revision=revision)
        items = list(answer.kvs)
        next_key = items[-1].key + b"\0" if answer.more else None
        return Page(items, revision or answer.header.revision, next_key, answer.count - len(items))

    def pages(self, kind: bytes, limit: int) -> Iterator[Page]:
        """Yield the pages of one moment: that of the first."""
        page = self.page(kind, limit)
        yield page
        while page.next_key is not None:
            page = self.page(kind, limit, revision=page.revision, begin=page.next_key)
            yield page

    def watch(self, kind: bytes, after_revision: int) -> Watcher:
        request = build_watch(
            self._prefix + kind, prefix=True, start_revision=after_revision + 1, prev_kv=True, progress_notify=True
        )
        return self._client.watch(request)


class Compactor:
    """One of several API servers: whoever first moves the key on compacts, the others learn how far."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._version = 0
        self._revision = 0

    def compact(self) -> bool:
        """Compact up to the revision of the last time; return whether it was this one who did."""
        answer = self._client.kv.txn(
            [compare("version", COMPACT_KEY, "=", self._version)],
            [put_request(COMPACT_KEY, b"%d" % self._revision)],
            [range_request(COMPACT_KEY)],
        )
        revision, self._revision = self._revision, answer.header.revision
        if not answer.succeeded:
            self._version = answer.responses[0].response_range.kvs[0].version
            return False
        self._version += 1
        if revision:
            self._client.kv.compact(revision)
        return True
