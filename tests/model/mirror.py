"""A naive store to compare the real one with: every revision's whole state is kept as a dict, every event in a list.

Nothing here is shared with the store but the messages. It is slow, and meant to be read in one go.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import google_crc32c

from etcdpy.base.errors import Compacted, EtcdError, FutureRev, KeyNotFound, LeaseNotFound
from etcdpy.pb.kv_pb2 import KeyValue
from etcdpy.pb.rpc_pb2 import (
    Compare,
    DeleteRangeRequest,
    DeleteRangeResponse,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    TxnRequest,
    TxnResponse,
)

State = dict[bytes, KeyValue]

TARGETS = {Compare.VERSION: "version", Compare.CREATE: "create_revision", Compare.MOD: "mod_revision"}
TARGETS |= {Compare.VALUE: "value", Compare.LEASE: "lease"}
SORT_FIELDS = {RangeRequest.KEY: "key", RangeRequest.VERSION: "version", RangeRequest.CREATE: "create_revision"}
SORT_FIELDS |= {RangeRequest.MOD: "mod_revision", RangeRequest.VALUE: "value"}


@dataclass(frozen=True)
class Event:
    """One record of the history. `kv` as an event carries it."""

    main: int
    sub: int
    key: bytes
    kv: KeyValue
    is_delete: bool

    def disk_key(self) -> bytes:
        mark = b"t" if self.is_delete else b""
        return self.main.to_bytes(8, "big") + b"_" + self.sub.to_bytes(8, "big") + mark

    def disk_value(self) -> bytes:
        return (KeyValue(key=self.key) if self.is_delete else self.kv).SerializeToString()


@dataclass
class Mirror:
    """The model."""

    leases: set[int] = field(default_factory=set)
    states: dict[int, State] = field(default_factory=lambda: {0: {}, 1: {}})
    events: list[Event] = field(default_factory=list)
    current: int = 1
    compacted: int = -1
    sub: int = 0
    working: State = field(default_factory=dict)  # The state inside of the write in progress.

    # -- requests

    def put(self, request: PutRequest) -> PutResponse:
        if request.lease and request.lease not in self.leases:
            raise LeaseNotFound
        if (request.ignore_value or request.ignore_lease) and request.key not in self.working:
            raise KeyNotFound
        response = self.do_put(request)
        self.finish()
        return response

    def delete_range(self, request: DeleteRangeRequest) -> DeleteRangeResponse:
        response = self.do_delete_range(request)
        self.finish()
        return response

    def range(self, request: RangeRequest) -> RangeResponse:
        visible = self.visible()
        revision = request.revision if request.revision > 0 else visible
        if revision > visible:
            raise FutureRev
        if revision < self.compacted:
            raise Compacted
        state = self.working if revision == visible else self.states[revision]
        return select(request, in_range(state, request.key, request.range_end))

    def txn(self, request: TxnRequest) -> TxnResponse:
        chosen = self.choose(request)
        self.check(chosen)
        response = self.do_txn(chosen)
        self.finish()
        return response

    def compact(self, revision: int) -> None:
        if revision <= self.compacted:
            raise Compacted
        if revision > self.current:
            raise FutureRev
        self.compacted = revision

    # -- transactions: choose the branches, check, do

    def choose(self, request: TxnRequest) -> tuple[bool, list[object]]:
        succeeded = all([self.holds(compare) for compare in request.compare])
        ops: list[object] = []
        for op in request.success if succeeded else request.failure:
            name = op.WhichOneof("request")
            assert name is not None
            ops.append(
                self.choose(TxnRequest.FromString(op.request_txn)) if name == "request_txn" else getattr(op, name)
            )
        return succeeded, ops

    def holds(self, compare: Compare) -> bool:
        found = in_range(self.working, compare.key, compare.range_end)
        if not found:
            if compare.target == Compare.VALUE:
                return False
            found = [KeyValue()]
        return all([compare_one(compare, kv) for kv in found])

    def check(self, chosen: tuple[bool, list[object]]) -> None:
        flat = flatten(chosen)
        for op in flat:
            if isinstance(op, PutRequest):
                if (op.ignore_value or op.ignore_lease) and op.key not in self.working:
                    raise KeyNotFound
                if op.lease and op.lease not in self.leases:
                    raise LeaseNotFound
        for op in flat:
            if isinstance(op, RangeRequest) and op.revision:
                if op.revision > self.current:
                    raise FutureRev
                if op.revision < self.compacted:
                    raise Compacted

    def do_txn(self, chosen: tuple[bool, list[object]]) -> TxnResponse:
        succeeded, ops = chosen
        response = TxnResponse(succeeded=succeeded)
        for op in ops:
            answer = response.responses.add()
            if isinstance(op, tuple):
                nested = self.do_txn(op)
                nested.header.SetInParent()
                answer.response_txn = nested.SerializeToString()
            elif isinstance(op, PutRequest):
                answer.response_put.CopyFrom(self.do_put(op))
                answer.response_put.header.revision = self.visible()
            elif isinstance(op, DeleteRangeRequest):
                answer.response_delete_range.CopyFrom(self.do_delete_range(op))
                answer.response_delete_range.header.revision = self.visible()
            elif isinstance(op, RangeRequest):
                answer.response_range.CopyFrom(self.range(op))
                answer.response_range.header.revision = self.visible()
        return response

    # -- effects

    def do_put(self, request: PutRequest) -> PutResponse:
        old = self.working.get(request.key)
        response = PutResponse()
        if request.prev_kv and old is not None:
            response.prev_kv.CopyFrom(old)
        before = old or KeyValue()
        main = self.current + 1
        kv = KeyValue(
            key=request.key,
            create_revision=before.create_revision or main,
            mod_revision=main,
            version=before.version + 1,
            value=before.value if request.ignore_value else request.value,
            lease=before.lease if request.ignore_lease else request.lease,
        )
        self.working[request.key] = kv
        self.record(request.key, kv, is_delete=False)
        return response

    def do_delete_range(self, request: DeleteRangeRequest) -> DeleteRangeResponse:
        found = in_range(self.working, request.key, request.range_end)
        response = DeleteRangeResponse(deleted=len(found))
        if request.prev_kv:
            response.prev_kvs.extend(found)
        for kv in found:
            del self.working[kv.key]
            self.record(kv.key, KeyValue(key=kv.key, mod_revision=self.current + 1), is_delete=True)
        return response

    def record(self, key: bytes, kv: KeyValue, *, is_delete: bool) -> None:
        self.events.append(Event(self.current + 1, self.sub, key, kv, is_delete))
        self.sub += 1

    def visible(self) -> int:
        return self.current + 1 if self.sub else self.current

    def finish(self) -> None:
        if self.sub:
            self.current += 1
            self.sub = 0
            self.states[self.current] = dict(self.working)

    # -- what is left on disk, and its hash

    def records(self) -> list[Event]:
        """Everything that stays when compaction has done its work."""
        live = self.live_records(self.compacted)
        return [event for event in self.events if event.main > self.compacted or event in live or self.is_edge(event)]

    def is_edge(self, event: Event) -> bool:
        """A tombstone of exactly the compacted revision stays, unless the same transaction put the key again."""
        return event.is_delete and event.main == self.compacted and event.key not in self.states[self.compacted]

    def live_records(self, revision: int) -> list[Event]:
        state = self.states[max(revision, 0)]
        last = {event.key: event for event in self.events if event.main <= revision}
        return [last[key] for key in state]

    def hash_kv(self, revision: int) -> int:
        """The hash as the running 3.5.1 gives it for a revision that may be asked for."""
        if 0 < revision < self.compacted:
            raise Compacted
        if revision > self.current:
            raise FutureRev
        revision = revision or self.current
        live = self.live_records(revision) or self.live_records(self.compacted)
        value = google_crc32c.value(b"key")
        for event in self.records():
            if event.main <= revision and (event.main > self.compacted or event in live):
                value = google_crc32c.extend(value, event.disk_key() + event.disk_value())
        return int(value)


def in_range(state: State, key: bytes, range_end: bytes) -> list[KeyValue]:
    if not range_end:
        return [state[key]] if key in state else []
    is_open = range_end == b"\0"
    return [state[found] for found in sorted(state) if found >= key and (is_open or found < range_end)]


def select(request: RangeRequest, found: list[KeyValue]) -> RangeResponse:
    response = RangeResponse(count=len(found))
    if request.count_only:
        return response
    bounds = (request.min_mod_revision, request.max_mod_revision)
    created_bounds = (request.min_create_revision, request.max_create_revision)
    is_filtered = any(bounds + created_bounds)
    order, target = request.sort_order, request.sort_target
    if request.limit > 0 and order == RangeRequest.NONE and not is_filtered:
        found = found[: request.limit + 1]
    found = [kv for kv in found if within(kv.mod_revision, bounds) and within(kv.create_revision, created_bounds)]
    if order in (RangeRequest.ASCEND, RangeRequest.DESCEND) or target != RangeRequest.KEY:
        name = SORT_FIELDS[target]
        found = sorted(found, key=lambda kv: getattr(kv, name), reverse=order == RangeRequest.DESCEND)
    if request.limit > 0 and len(found) > request.limit:
        found = found[: request.limit]
        response.more = True
    for kv in found:
        added = response.kvs.add()
        added.CopyFrom(kv)
        if request.keys_only:
            added.ClearField("value")
    return response


def within(number: int, bounds: tuple[int, int]) -> bool:
    low, high = bounds
    return (not low or number >= low) and (not high or number <= high)


def compare_one(compare: Compare, kv: KeyValue) -> bool:
    name = TARGETS[compare.target]
    found, wanted = getattr(kv, name), getattr(compare, name)
    if compare.result == Compare.EQUAL:
        return bool(found == wanted)
    if compare.result == Compare.NOT_EQUAL:
        return bool(found != wanted)
    return bool(found > wanted) if compare.result == Compare.GREATER else bool(found < wanted)


def flatten(chosen: tuple[bool, list[object]]) -> list[object]:
    flat: list[object] = []
    for op in chosen[1]:
        flat += flatten(op) if isinstance(op, tuple) else [op]
    return flat


__all__ = ["EtcdError", "Event", "Mirror"]
