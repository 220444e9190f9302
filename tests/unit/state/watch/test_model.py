"""The hub against a naive model: any history, any readers; each watcher hears what it should, in order, once."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcdpy.pb import kv_pb2, rpc_pb2
from etcdpy.state.mvcc.change import Change
from etcdpy.state.watch import delivery
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
        self.is_created = False  # the client was told so
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
        self.left: dict[tuple[int, int], ModelWatch] = {}  # the client canceled it and was not yet told so
        self.counts: dict[int, int] = {}  # watches ever made, by stream
        self.blocked: set[int] = set()
        self.bookmarks = 0

    def run(self, operation: tuple[Any, ...]) -> None:
        getattr(self, operation[0])(*operation[1:])
        self.bench.hub.check_invariants()

    def write(self, puts: list[int], deletes: list[int], size: int) -> None:
        revision = self.bench.store.current_revision + 1
        value = b"%d" % revision + b"." * size
        self.bench.store.write({KEYS[i]: value for i in puts}, [KEYS[i] for i in deletes])

    def flood(self, count: int) -> None:
        """More than one step delivers."""
        for number in range(count):
            self.write([number % 2], [], HUGE)

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
        watches[self.counts.get(stream, 0)] = ModelWatch(request, start or now + 1)
        self.counts[stream] = self.counts.get(stream, 0) + 1

    def cancel(self, pick: int, which: int) -> None:
        stream = self._pick(pick)
        if stream is not None and which in self.watches[stream]:
            watch = self.watches[stream].pop(which)
            self.left[(stream, which)] = watch
            self.bench.hub.cancel(stream, which)
            self.take([])
            assert watch.is_canceled and (stream, which) not in self.left

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

    def _find(self, stream: int, watch_id: int) -> ModelWatch:
        return self.left.get((stream, watch_id)) or self.watches[stream][watch_id]

    def _check(self, stream: int, response: rpc_pb2.WatchResponse) -> None:
        if response.created:
            assert response.canceled == (response.watch_id == -1)
            if not response.canceled:
                self._find(stream, response.watch_id).is_created = True
            return
        if response.watch_id == -1:
            self._check_bookmark(stream, response.header.revision)
            return
        watch = self._find(stream, response.watch_id)
        assert watch.is_created
        if response.canceled and not response.compact_revision:
            del self.left[(stream, response.watch_id)]
            watch.is_canceled = True
            return
        assert not watch.is_canceled
        if response.canceled:
            assert response.compact_revision <= self.bench.store.compact_revision  # it may have moved since
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
        left = [watch for (where, _), watch in self.left.items() if where == stream]
        for watch in [*self.watches[stream].values(), *left]:
            if watch.is_created and not watch.is_canceled:
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
    st.tuples(st.just("flood"), st.integers(3, 6)),
    st.tuples(st.just("take"), st.lists(streams, max_size=2)),
    st.tuples(st.just("take"), st.lists(streams, max_size=2)),
    st.tuples(st.just("drain"), streams),
    st.tuples(st.just("cancel"), streams, st.integers(0, 5)),
    st.tuples(st.just("progress"), streams),
    st.tuples(st.just("compact"), st.integers(0, 6)),
    st.tuples(st.just("close"), streams),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(operations, min_size=5, max_size=60))
def test_every_watcher_hears_exactly_what_it_should(script: list[tuple[Any, ...]]) -> None:
    model = Model()
    model.open()
    for operation in script:
        model.run(operation)
    model.finish()


WEIGHTS = {
    "write": 12,
    "flood": 2,
    "create": 8,
    "notify": 8,
    "step": 8,
    "take": 8,
    "drain": 4,
    "cancel": 2,
    "progress": 3,
    "open": 1,
    "close": 1,
    "compact": 1,
    "restore": 1,
}


def draw_operation(rng: random.Random) -> tuple[Any, ...]:
    """Return one operation, of the kinds that `operations` has, more often one that leads somewhere."""
    (kind,) = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
    pick = rng.randrange(3)
    if kind == "write":
        puts = rng.sample(range(len(KEYS)), rng.randrange(1, 3))
        return kind, puts, [rng.randrange(len(KEYS))], rng.choice([SMALL, SMALL, SMALL, LARGE, HUGE])
    if kind == "create":
        offset = rng.choice([None, None, -3, -10, -30, 1, 3])
        flags = rng.random() < 0.3, rng.random() < 0.3
        filters = [0] if rng.random() < 0.1 else []
        return kind, pick, rng.randrange(2), rng.randrange(len(RANGES)), offset, filters, *flags
    if kind == "take":
        return kind, [pick] if rng.random() < 0.4 else []
    if kind in ("drain", "progress", "close"):
        return kind, pick
    if kind == "cancel":
        return kind, pick, rng.randrange(8)
    if kind == "compact":
        return kind, rng.randrange(15)
    if kind == "flood":
        return kind, rng.randrange(3, 6)
    return (kind,)


@pytest.mark.parametrize("joined_bytes_max", [delivery.JOINED_BYTES_MAX, 0])
@pytest.mark.parametrize("seed", range(40))
def test_long_histories(seed: int, joined_bytes_max: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long scripts, in which streams fall far behind and watchers come late; or are put off at every chance."""
    monkeypatch.setattr(delivery, "JOINED_BYTES_MAX", joined_bytes_max)
    rng = random.Random(seed)
    model = Model()
    model.open()
    for _ in range(200):
        model.run(draw_operation(rng))
    model.finish()
