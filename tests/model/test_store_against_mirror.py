"""The store, on a real backend, against the mirror: the same requests, the same answers, whatever comes in between."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from etcdpy.base.errors import Compacted, DuplicateKey, EtcdError
from etcdpy.pb.kv_pb2 import KeyValue
from etcdpy.pb.rpc_pb2 import (
    CompactionRequest,
    DeleteRangeRequest,
    DeleteRangeResponse,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    TxnRequest,
    TxnResponse,
)
from etcdpy.state.mvcc.answer import Answer, run_steps
from etcdpy.state.mvcc.store import Store
from etcdpy.state.mvcc.validate import check_txn_request
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema.buckets import KEY
from tests.model import requests
from tests.model.mirror import Mirror

Outcome = Message | EtcdError


class Book:
    """A lessor that keeps what it is told."""

    def __init__(self) -> None:
        self.keys: dict[int, set[bytes]] = {lease_id: set() for lease_id in requests.LEASES}

    def exists(self, lease_id: int) -> bool:
        return lease_id in self.keys

    def attach(self, lease_id: int, key: bytes) -> None:
        assert key not in self.keys[lease_id]
        self.keys[lease_id].add(key)

    def detach(self, lease_id: int, key: bytes) -> None:
        self.keys[lease_id].remove(key)


class StoreMachine(RuleBasedStateMachine):
    """Does everything twice."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.backend = Backend.open(self.directory)
        self.book = Book()
        self.store = Store(self.backend, self.book)
        self.entry = 0
        self.sliced: tuple[Generator[None, None, Answer], Outcome, int] | None = None

    def teardown(self) -> None:
        self.backend.close()
        shutil.rmtree(self.directory)

    @initialize()
    def begin(self) -> None:
        self.store.restore()
        self.store.record_changes = True
        self.mirror = Mirror(leases=set(requests.LEASES))

    # -- requests

    @rule(request=requests.puts())
    def put(self, request: PutRequest) -> None:
        self.compare(lambda: self.mirror.put(request), lambda: self.store.apply_put(request), PutResponse)

    @rule(request=requests.deletes())
    def delete_range(self, request: DeleteRangeRequest) -> None:
        self.compare(
            lambda: self.mirror.delete_range(request),
            lambda: self.store.apply_delete_range(request),
            DeleteRangeResponse,
        )

    @rule(request=requests.txns(), is_prepared=st.booleans())
    def txn(self, request: TxnRequest, is_prepared: bool) -> None:
        requests.place_revisions(request, self.mirror.current)
        try:
            plan = check_txn_request(request, 128)
        except DuplicateKey:
            return
        if is_fatal_to_others(request):
            return
        self.compare(
            lambda: self.mirror.txn(request),
            lambda: self.store.apply_txn(plan if is_prepared else request),
            TxnResponse,
        )

    @rule(request=requests.ranges())
    def range(self, request: RangeRequest) -> None:
        requests.place_revision(request, self.mirror.current)
        self.compare(lambda: self.mirror.range(request), lambda: self.store.range(request), RangeResponse)

    @rule(request=requests.ranges())
    def begin_sliced_range(self, request: RangeRequest) -> None:
        requests.place_revision(request, self.mirror.current)
        expected = outcome_of(lambda: self.mirror.range(request))
        revision = request.revision if request.revision > 0 else self.mirror.current
        self.sliced = (self.store.range_steps(request, slice_kvs=2), expected, revision)
        self.go_on_with_sliced_range(1)  # it begins with its first step

    @precondition(lambda self: self.sliced is not None)
    @rule(steps=st.integers(1, 30))
    def go_on_with_sliced_range(self, steps: int) -> None:
        """What was begun at a revision is answered as of then, or with Compacted, never with a mixture."""
        assert self.sliced is not None
        generator, expected, revision = self.sliced
        for _ in range(steps):
            try:
                next(generator)
            except StopIteration as stop:
                assert RangeResponse.FromString(stop.value.body) == expected
            except Compacted:
                assert expected == Compacted() or revision < self.store.compact_revision
            except EtcdError as error:
                assert error == expected
            else:
                continue
            self.sliced = None
            return

    # -- compaction, restart, hash

    @rule(offset=st.integers(-8, 1))
    def compact(self, offset: int) -> None:
        revision = self.mirror.current + offset
        expected = outcome_of(lambda: self.mirror.compact(revision))
        found = outcome_of(lambda: self.store.apply_compaction(CompactionRequest(revision=revision)))
        self.end_entry()
        assert (found if isinstance(found, EtcdError) else None) == expected

    @rule(offset=st.integers(-8, 0))
    def compact_at_once(self, offset: int) -> None:
        self.compact(offset)
        self.finish_compaction()

    @rule(batch=st.integers(1, 5))
    def compact_step(self, batch: int) -> None:
        self.store.compact_step(batch)

    @rule()
    def finish_compaction(self) -> None:
        while not self.store.compact_step(3):
            pass
        expected = [(event.disk_key(), event.disk_value()) for event in self.mirror.records()]
        assert self.backend.scan(KEY, b"", None) == expected

    @rule(is_reopened=st.booleans())
    def restart(self, is_reopened: bool) -> None:
        """Nothing is lost by reading everything back, in whatever state of a compaction."""
        self.sliced = None
        if is_reopened:
            self.backend.close()
            self.backend = Backend.open(self.directory)
        self.book = Book()
        self.store = Store(self.backend, self.book)
        self.store.restore()
        self.store.record_changes = True
        for lease_id, key in self.store.lease_attachments():
            self.book.attach(lease_id, key)

    @rule(offset=st.integers(-12, 1), slice_records=st.integers(1, 5))
    def hash_kv(self, offset: int, slice_records: int) -> None:
        revision = max(0, self.mirror.current + offset)
        try:
            expected = self.mirror.hash_kv(revision)
        except EtcdError as error:
            assert outcome_of(lambda: self.store.hash_kv(revision)) == error
            return
        found = run_steps(self.store.hash_steps(revision, slice_records))
        assert (found.hash, found.compact_revision) == (expected, self.mirror.compacted)

    @rule(start=st.integers(-12, 0), limit=st.integers(1, 6))
    def read_history(self, start: int, limit: int) -> None:
        """Watchers see every change since compaction once, and no revision in two parts."""
        revision = max(1, self.mirror.current + start)
        if revision < self.mirror.compacted:
            assert outcome_of(lambda: self.store.changes_between(revision, revision + 1)) == Compacted()
            return
        while not self.store.compact_step():
            pass
        expected = [event for event in self.mirror.records() if event.main >= revision]
        found: list[tuple[int, bytes, Message, bool]] = []
        end = self.mirror.current + 1
        while revision < end:
            changes, next_revision = self.store.changes_between(revision, end, limit)
            assert all([revision <= change.revision < next_revision for change in changes])
            found += [(c.revision, c.key, KeyValue.FromString(c.kv_bytes), c.is_delete) for c in changes]
            revision = next_revision
        assert found == [(e.main, e.key, e.kv, e.is_delete) for e in expected]

    @rule(key=requests.keys, offset=st.integers(-12, 0))
    def get_kv_at(self, key: bytes, offset: int) -> None:
        revision = max(1, self.mirror.current + offset)
        found = self.store.get_kv_at(key, revision)
        if revision < self.mirror.compacted:
            assert found is None
        else:
            expected = self.mirror.states[revision].get(key)
            assert found == (None if expected is None else expected.SerializeToString())

    # -- what must hold after every step

    @invariant()
    def agree(self) -> None:
        mirror, store = self.mirror, self.store
        assert (store.current_revision, store.compact_revision) == (mirror.current, mirror.compacted)
        assert store.keys_total == len(mirror.working)
        hanging = {(kv.lease, key) for key, kv in mirror.working.items() if kv.lease}
        assert set(store.lease_attachments()) == hanging
        assert {(lease_id, key) for lease_id, keys in self.book.keys.items() for key in keys} == hanging
        store.index.check_invariants()

    # -- helpers

    def compare(self, ask_mirror: Callable[[], Any], ask_store: Callable[[], Answer], response_type: Any) -> None:
        events_before = len(self.mirror.events)
        expected = outcome_of(ask_mirror)
        found = outcome_of(ask_store)
        self.end_entry()
        if isinstance(found, Answer):
            assert found.revision == self.mirror.current
            found = response_type.FromString(found.body)
        assert found == expected
        changes = self.store.take_changes()
        events = self.mirror.events[events_before:]
        assert [(c.revision, c.key, c.kv_bytes, c.is_delete) for c in changes] == [
            (e.main, e.key, e.kv.SerializeToString(), e.is_delete) for e in events
        ]

    def end_entry(self) -> None:
        self.entry += 1
        self.backend.end_entry(self.entry, 1)
        self.backend.poll(float(self.entry))


def outcome_of(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except EtcdError as error:
        return error


def is_fatal_to_others(request: TxnRequest) -> bool:
    """Deleting from a key on is not seen as a conflict with puts; with ignore_value, etcd panics half way through."""
    data = request.SerializeToString()
    return b"\x12\x01\x00" in data and (b"\x28\x01" in data or b"\x30\x01" in data)


StoreMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestStore = StoreMachine.TestCase
