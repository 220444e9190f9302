"""The hub against a naive model: any history, any readers; each watcher hears what it should, in order, once."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from etcdpy.pb import kv_pb2, rpc_pb2
from etcdpy.state.mvcc.change import Change
from tests.unit.state.watch.fakes import Bench, FakeStore

KEYS = [b"a", b"aa", b"ab", b"b", b"c"]
RANGES = [b"", b"\0", b"aa", b"b", b"d"]
SMALL, LARGE, HUGE = 1, 400_000, 1_300_000


class ModelWatch:
    """What one watcher is due, by the history alone."""

    def __init__(self, request: rpc_pb2.WatchCreateRequest, start: int) -> None:
        self.request = request
        self.start = start
        self.heard: list[tuple[int, bytes]] = []  # (revision, key)
        self.fragments: list[Any] = []
        self.is_canceled = False

    def wants(self, change: Change) -> bool:
        request = self.request
        if change.revision < self.start:
            return False
        if (1 if change.is_delete else 0) in request.filters:
            return False
        if request.range_end == b"":
            return change.key == request.key
        return change.key >= request.key and (request.range_end == b"\0" or change.key < request.range_end)

    def due(self, store: FakeStore) -> list[tuple[int, bytes]]:
        return [(change.revision, change.key) for change in store.history if self.wants(change)]


class Model:
    """Drives a bench by random operations and checks every response as it comes."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.watches: dict[int, dict[int, ModelWatch]] = {}
        self.blocked: set[int] = set()
        self.bookmarks = 0

    def run(self, operation: tuple[Any, ...]) -> None:
        getattr(self, operation[0])(*operation[1:])
        self.bench.hub.check_invariants()

    def write(self, puts: list[int], deletes: list[int], size: int) -> None:
        revision = self.bench.store.current_revision + 1
        value = b"%d" % revision + b"." * size
        self.bench.store.write({KEYS[i]: value for i in puts}, [KEYS[i] for i in deletes])

    def notify(self) -> None:
        self.bench.notify()

    def compact(self, back: int) -> None:
        store = self.bench.store
        self.bench.notify()
        store.compact_revision = max(store.compact_revision, store.current_revision - back)

    def open(self) -> None:
        self.watches[self.bench.open()] = {}

    def create(
        self, pick: int, key: int, end: int, offset: int | None, filters: list[int], prev: bool, frag: bool
    ) -> None:
        stream = self._pick(pick)
        if stream is None:
            return
        now: int = self.bench.store.current_revision
        start = 0 if offset is None else max(now + offset, 1)
        request = rpc_pb2.WatchCreateRequest(
            key=KEYS[key],
            range_end=RANGES[end],
            start_revision=start,
            filters=filters,  # type: ignore[arg-type]
            prev_kv=prev,
            fragment=frag,
        )
        watches = self.watches[stream]
        self.bench.notify()  # as the member does before it answers anybody
        self.bench.hub.create(stream, request)
        if request.range_end not in (b"", b"\0") and request.range_end <= request.key:
            return
        watches[len(watches)] = ModelWatch(request, start or now + 1)

    def cancel(self, pick: int, which: int) -> None:
        stream = self._pick(pick)
        if stream is not None and which in self.watches[stream]:
            self.bench.hub.cancel(stream, which)
            self.take([])
            self.watches[stream][which].is_canceled = True

    def progress(self, pick: int) -> None:
        stream = self._pick(pick)
        if stream is not None:
            self.bench.hub.request_progress(stream)

    def step(self) -> None:
        self.bench.hub.sync_step()

    def take(self, refusing: list[int]) -> None:
        """Write the output; the streams named refuse more from then on."""
        self.bench.take()
        for stream in list(self.watches):
            for response in self.bench.hear(stream):
                self._check(stream, response)
        for pick in refusing:
            slow = self._pick(pick)
            if slow is not None:
                self.bench.hub.block(slow)
                self.blocked.add(slow)

    def drain(self, pick: int) -> None:
        stream = self._pick(pick)
        if stream is not None:
            self.bench.hub.unblock(stream)
            self.blocked.discard(stream)

    def close(self, pick: int) -> None:
        stream = self._pick(pick)
        if stream is not None:
            self.bench.hub.close_stream(stream)
            self.blocked.discard(stream)
            del self.watches[stream]

    def restore(self) -> None:
        self.bench.store.take_changes()
        self.bench.hub.restore()

    def finish(self) -> None:
        """Nobody is slow any more: in the end everybody has heard everything."""
        for stream in sorted(self.blocked):
            self.bench.hub.unblock(stream)
        self.blocked.clear()
        self.notify()
        self.take([])
        for _ in range(5_000):
            if not self.bench.hub.has_work:
                break
            self.step()
            self.take([])
        assert not self.bench.hub.has_work
        self.bench.hub.check_invariants()
        for watches in self.watches.values():
            for watch in watches.values():
                if not watch.is_canceled:
                    assert watch.heard == watch.due(self.bench.store)

    def _pick(self, number: int) -> int | None:
        streams = sorted(self.watches)
        return streams[number % len(streams)] if streams else None

    def _check(self, stream: int, response: rpc_pb2.WatchResponse) -> None:
        if response.created:
            assert response.canceled == (response.watch_id == -1)
            return
        if response.watch_id == -1:
            self._check_bookmark(stream, response.header.revision)
            return
        watch = self.watches[stream][response.watch_id]
        assert not watch.is_canceled
        if response.canceled:
            if response.compact_revision:
                assert response.compact_revision == self.bench.store.compact_revision
                assert len(watch.heard) < len(watch.due(self.bench.store)) or watch.start < response.compact_revision
                watch.is_canceled = True
            return
        assert response.events
        assert not response.fragment or watch.request.fragment
        for event in response.events:
            self._check_event(watch, event)
        watch.fragments += [(event.kv.mod_revision, event.kv.key) for event in response.events]
        if not response.fragment:
            self._check_whole(watch)

    def _check_event(self, watch: ModelWatch, event: kv_pb2.Event) -> None:
        store, revision = self.bench.store, event.kv.mod_revision
        kv = store.kv_at(event.kv.key, revision)
        assert (event.type == kv_pb2.Event.DELETE) == (kv is None)
        assert event.kv == (kv or kv_pb2.KeyValue(key=event.kv.key, mod_revision=revision))
        previous = store.kv_at(event.kv.key, revision - 1)
        if event.HasField("prev_kv"):
            assert watch.request.prev_kv and event.prev_kv == previous
        elif watch.request.prev_kv and previous is not None:
            assert revision - 1 < store.compact_revision

    def _check_whole(self, watch: ModelWatch) -> None:
        """The response, or the last of its fragments, goes on where the watcher stood and ends with a revision."""
        watch.heard += watch.fragments
        watch.fragments = []
        due = watch.due(self.bench.store)
        assert watch.heard == due[: len(watch.heard)]
        if len(due) > len(watch.heard):
            assert due[len(watch.heard)][0] > watch.heard[-1][0]

    def _check_bookmark(self, stream: int, revision: int) -> None:
        self.bookmarks += 1
        for watch in self.watches[stream].values():
            if not watch.is_canceled:
                assert watch.heard == [item for item in watch.due(self.bench.store) if item[0] <= revision]


streams = st.integers(0, 3)
key_lists = st.lists(st.integers(0, len(KEYS) - 1), max_size=3)
writes = st.tuples(st.just("write"), key_lists, key_lists, st.sampled_from([SMALL, SMALL, SMALL, LARGE, HUGE]))
creations = st.tuples(
    st.just("create"),
    streams,
    st.integers(0, len(KEYS) - 1),
    st.integers(0, len(RANGES) - 1),
    st.none() | st.integers(-12, 4),
    st.lists(st.integers(0, 1), max_size=1),
    st.booleans(),
    st.booleans(),
)
operations = st.one_of(
    writes,
    writes,
    creations,
    creations,
    st.just(("notify",)),
    st.just(("step",)),
    st.just(("open",)),
    st.just(("restore",)),
    st.tuples(st.just("take"), st.lists(streams, max_size=2)),
    st.tuples(st.just("drain"), streams),
    st.tuples(st.just("cancel"), streams, st.integers(0, 5)),
    st.tuples(st.just("progress"), streams),
    st.tuples(st.just("compact"), st.integers(0, 6)),
    st.tuples(st.just("close"), streams),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(operations, min_size=5, max_size=60))
def test_every_watcher_hears_exactly_what_it_should(script: list[tuple[Any, ...]]) -> None:
    model = Model()
    model.open()
    for operation in script:
        model.run(operation)
    model.finish()
