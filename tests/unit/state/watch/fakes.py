"""A store of the simplest kind, and streams as a client reads them: what the tests of the watch hub share."""

from __future__ import annotations

import random
from collections.abc import Sequence

from etcdpy.pb import kv_pb2, rpc_pb2
from etcdpy.state.mvcc.change import Change
from etcdpy.state.watch.hub import WatchHub

CLUSTER_ID, MEMBER_ID, TERM = 0xC1, 0xA1, 7
FRAGMENT_BYTES_MAX = 700_000


class FakeStore:
    """All history in a list. Compaction only refuses; nothing is removed."""

    def __init__(self) -> None:
        self.current_revision = 1
        self.compact_revision = -1
        self.record_changes = False
        self.history: list[Change] = []
        self.pending: list[Change] = []
        self.kvs: dict[bytes, list[tuple[int, kv_pb2.KeyValue | None]]] = {}
        self.reads = 0  # calls of changes_between

    def write(self, puts: dict[bytes, bytes], deletes: Sequence[bytes] = ()) -> None:
        """One revision."""
        revision = self.current_revision + 1
        changes = [self._put(key, value, revision) for key, value in puts.items()]
        for key in deletes:
            if key not in puts and self.kv_at(key, self.current_revision) is not None:
                changes.append(self._delete(key, revision))
        if not changes:
            return
        self.current_revision = revision
        self.history += changes
        if self.record_changes:
            self.pending += changes

    def put(self, key: bytes, value: bytes = b"") -> None:
        self.write({key: value})

    def delete(self, key: bytes) -> None:
        self.write({}, [key])

    def take_changes(self) -> list[Change]:
        taken, self.pending = self.pending, []
        return taken

    def kv_at(self, key: bytes, revision: int) -> kv_pb2.KeyValue | None:
        found = None
        for mod_revision, kv in self.kvs.get(key, []):
            if mod_revision <= revision:
                found = kv
        return found

    def changes_between(self, start_revision: int, end_revision: int, limit: int = 1000) -> tuple[list[Change], int]:
        assert self.compact_revision <= start_revision < end_revision <= self.current_revision + 1
        self.reads += 1
        changes = [change for change in self.history if start_revision <= change.revision < end_revision]
        if len(changes) <= limit:
            return changes, end_revision
        stop = changes[limit].revision
        if stop == changes[0].revision:
            stop += 1
        return [change for change in changes if change.revision < stop], stop

    def get_kv_at(self, key: bytes, revision: int) -> bytes | None:
        if revision < self.compact_revision:
            return None
        kv = self.kv_at(key, revision)
        return None if kv is None else kv.SerializeToString()

    def _put(self, key: bytes, value: bytes, revision: int) -> Change:
        old = self.kv_at(key, revision)
        kv = kv_pb2.KeyValue(
            key=key,
            value=value,
            create_revision=old.create_revision if old else revision,
            mod_revision=revision,
            version=old.version + 1 if old else 1,
        )
        self.kvs.setdefault(key, []).append((revision, kv))
        return Change(key, kv.SerializeToString(), False, revision)

    def _delete(self, key: bytes, revision: int) -> Change:
        self.kvs[key].append((revision, None))
        return Change(key, kv_pb2.KeyValue(key=key, mod_revision=revision).SerializeToString(), True, revision)


class Bench:
    """A hub over a fake store, and what its streams were told."""

    def __init__(self, *, progress_interval_seconds: float = 600.0) -> None:
        self.store = FakeStore()
        self.hub = WatchHub(
            self.store,
            cluster_id=CLUSTER_ID,
            member_id=MEMBER_ID,
            fragment_bytes_max=FRAGMENT_BYTES_MAX,
            progress_interval_seconds=progress_interval_seconds,
            random=random.Random(1),
        )
        self.hub.raft_term = TERM
        self.told: dict[int, list[rpc_pb2.WatchResponse]] = {}

    def open(self) -> int:
        stream = self.hub.open_stream()
        self.told[stream] = []
        return stream

    def create(self, stream: int, key: bytes = b"a", range_end: bytes = b"", **options: object) -> None:
        self.hub.create(stream, rpc_pb2.WatchCreateRequest(key=key, range_end=range_end, **options))  # type: ignore[arg-type]

    def notify(self) -> None:
        self.hub.notify(self.store.take_changes())

    def take(self) -> None:
        """Write the output; nobody is slow."""
        for stream, items in self.hub.take_output():
            for item in items:
                messages = [item] if isinstance(item, bytes) else item.messages()
                self.told[stream] += map(rpc_pb2.WatchResponse.FromString, messages)

    def settle(self) -> None:
        """Let everybody who can catch up do so."""
        self.notify()
        self.take()
        for _ in range(10_000):
            if not self.hub.has_work:
                break
            self.hub.sync_step()
            self.take()
        else:
            raise AssertionError("the hub never comes to rest")
        self.hub.check_invariants()

    def hear(self, stream: int) -> list[rpc_pb2.WatchResponse]:
        """Return what the stream was told since the last call."""
        told, self.told[stream] = self.told[stream], []
        return told

    def lines(self, stream: int) -> list[str]:
        """Return what the stream was told, a line each: header revision, id, then what it says."""
        return [describe(response) for response in self.hear(stream)]


def describe(response: rpc_pb2.WatchResponse) -> str:
    header = response.header
    assert (header.cluster_id, header.member_id, header.raft_term) == (CLUSTER_ID, MEMBER_ID, TERM)
    words = [f"rev={header.revision}", f"w{response.watch_id}"]
    words += [name for name in ("created", "canceled", "fragment") if getattr(response, name)]
    if response.compact_revision:
        words.append(f"compact_revision={response.compact_revision}")
    if response.cancel_reason:
        words.append(f"reason={response.cancel_reason}")
    for event in response.events:
        kind = "delete" if event.type == kv_pb2.Event.DELETE else "put"
        value = f"={event.kv.value.decode()}" if event.kv.value else ""
        previous = f"({event.prev_kv.value.decode()})" if event.HasField("prev_kv") else ""
        words.append(f"{kind}:{event.kv.key.decode()}{value}@{event.kv.mod_revision}{previous}")
    return " ".join(words)
