"""A store on a real backend in a folder of the test's, and a lessor that notes what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etcdpy.pb.rpc_pb2 import RangeRequest, RangeResponse
from etcdpy.state.mvcc.store import Store
from etcdpy.storage.backend import Backend


class Leases:
    """Knows the leases that it was made with."""

    def __init__(self, *lease_ids: int) -> None:
        self.keys: dict[int, set[bytes]] = {lease_id: set() for lease_id in lease_ids}

    def exists(self, lease_id: int) -> bool:
        return lease_id in self.keys

    def attach(self, lease_id: int, key: bytes) -> None:
        self.keys[lease_id].add(key)

    def detach(self, lease_id: int, key: bytes) -> None:
        self.keys[lease_id].remove(key)


@contextmanager
def open_store(directory: Path, leases: Leases | None = None) -> Iterator[Store]:
    """Open, restore, and close in a way that keeps everything."""
    backend = Backend.open(directory)
    try:
        store = Store(backend, leases)
        store.restore()
        yield store
        backend.end_entry(backend.consistent_index + 1, 1)
    finally:
        backend.close()


def finish_compaction(store: Store) -> None:
    while not store.compact_step():
        pass


def read(store: Store, key: bytes, range_end: bytes = b"", revision: int = 0) -> list[tuple[bytes, bytes]]:
    """Return keys and values of a range."""
    request = RangeRequest(key=key, range_end=range_end, revision=revision)
    response = RangeResponse.FromString(store.range(request).body)
    return [(kv.key, kv.value) for kv in response.kvs]
