"""The multi-version key-value store: every write is a revision, and old revisions can be read until they are compacted.

    Store      one request in, one Answer out; owns the revisions
      Index        which revision of a key is in force
      Backend      revision -> KeyValue bytes
      LeaseBook    told which keys hang on which lease
      Compaction   removes what compaction made unreachable, in slices

Theory
  * Each request that changes anything makes one main revision; its changes count up the sub revision.
  * Everything is a function of the requests: no clock, no random, no order of sets.
  * A request is checked completely before its first write; so an error leaves nothing behind (etcd issue 18667).
  * Reads of more than LARGE_RANGE_KEYS, or of large values, come as generators that yield between slices; they read at
    the revision at which they began, and answer Compacted when compaction overtakes them.

The caller ends entries (Backend.end_entry); the store never does.

Upstream: mvcc/kvstore.go, mvcc/kvstore_txn.go, etcdserver/apply.go.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from etcdpy.base.errors import Compacted, FutureRev, KeyNotFound, LeaseNotFound
from etcdpy.base.varint import encode_varint
from etcdpy.pb.kv_pb2 import KeyValue
from etcdpy.pb.rpc_pb2 import CompactionRequest, DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest
from etcdpy.state.mvcc import reads, restore, txn
from etcdpy.state.mvcc.answer import Answer, run_steps
from etcdpy.state.mvcc.attachments import LeaseBook, NoLeases
from etcdpy.state.mvcc.change import Change
from etcdpy.state.mvcc.compaction import Compaction
from etcdpy.state.mvcc.counters import Counters
from etcdpy.state.mvcc.hash_kv import SLICE_RECORDS, KvHash, hash_steps
from etcdpy.state.mvcc.history import read_changes
from etcdpy.state.mvcc.index import Index
from etcdpy.state.mvcc.key_history import PUT, TOMBSTONE, bound_after, disk_key, pack_record
from etcdpy.state.mvcc.key_value import (
    KVS_PREFIX,
    delete_event,
    encode_key_value,
    encode_tombstone,
    field_prefix,
)
from etcdpy.state.mvcc.range_query import APART_BYTES, SLICE_KVS
from etcdpy.state.mvcc.reads import end_of, has_options
from etcdpy.state.mvcc.txn_plan import TxnPlan
from etcdpy.storage.backend.bucket_store import BucketStore
from etcdpy.storage.schema.buckets import KEY

_NOTHING: Final = b""


class Store:
    """The keys of one member. Call `restore` before anything else."""

    def __init__(self, backend: BucketStore, lessor: LeaseBook | None = None) -> None:
        self.backend = backend
        self.lessor: LeaseBook = lessor if lessor is not None else NoLeases()
        self.index = Index()
        self.current_revision = 1  # Main revision of the last finished write. Never goes down, not even by a crash.
        self.compact_revision = -1  # Reads below it are refused. -1: nothing was ever compacted.
        self.record_changes = False  # Whether somebody takes the changes.
        self.are_compactions_hashed = False  # Reads all that is compacted once: only for those who compare it.
        self.counters = Counters()
        self.compaction = Compaction(self)
        self._changes: list[Change] = []
        self._lease_of: dict[bytes, int] = {}
        self._sub_revision = 0  # Changes of the write in progress. Invariant: 0 between requests.

    # -- writes

    def put(self, key: bytes, value: bytes, lease_id: int = 0) -> Answer:
        """Set a key; the whole of a PutRequest without options."""
        if lease_id and not self.lessor.exists(lease_id):
            raise LeaseNotFound
        self.counters.puts += 1
        revision = self.current_revision + 1
        self._write_put(key, value, lease_id, revision, 0)
        self.current_revision = revision
        return Answer(revision, _NOTHING)

    def apply_put(self, request: PutRequest) -> Answer:
        """Carry out a PutRequest that passed check_put_request."""
        if not (request.prev_kv or request.ignore_value or request.ignore_lease):
            return self.put(request.key, request.value, request.lease)
        if request.lease and not self.lessor.exists(request.lease):
            raise LeaseNotFound
        if (request.ignore_value or request.ignore_lease) and self.index.get(request.key) is None:
            raise KeyNotFound
        body = self.execute_put(request)
        return self._finish_write(body)

    def apply_delete_range(self, request: DeleteRangeRequest) -> Answer:
        """Carry out a DeleteRangeRequest. Without a key to delete the revision stays."""
        return self._finish_write(self.execute_delete_range(request))

    def apply_txn(self, request: TxnRequest | TxnPlan) -> Answer:
        """Carry out a transaction, given as it came or as check_txn_request took it apart."""
        return txn.apply(self, request)

    def delete_keys(self, keys: list[bytes]) -> Answer:
        """Delete what exists of `keys`, in their order, in one revision: what revoking a lease does."""
        for key in keys:
            if self.index.get(key) is not None:
                self.counters.deletes += 1
                self._write_delete(key)
        return self._finish_write(_NOTHING)

    # -- reads

    def get(self, key: bytes) -> Answer:
        """Return a key as it is now; the whole of a RangeRequest for one key without options."""
        self.counters.ranges += 1
        record = self.index.get(key)
        if record is None:
            return Answer(self.current_revision, _NOTHING)
        kv: bytes = self.backend.get(KEY, record)  # type: ignore[assignment]
        size = len(kv)
        if size >= APART_BYTES:
            return Answer(self.current_revision, [field_prefix(b"\x12", size), kv, b"\x20\x01"])
        prefix = KVS_PREFIX[size] if size < 16384 else field_prefix(b"\x12", size)
        return Answer(self.current_revision, prefix + kv + b"\x20\x01")

    def range(self, request: RangeRequest) -> Answer:
        """Answer a RangeRequest at once, however long it takes."""
        if not request.range_end and request.revision <= 0 and not has_options(request):
            return self.get(request.key)
        return run_steps(self.range_steps(request))

    def is_large(self, request: RangeRequest) -> bool:
        """Return whether a range should be answered by `range_steps`, slice by slice."""
        return reads.is_large(self, request)

    def range_if_small(self, request: RangeRequest) -> Answer | None:
        """Answer a range that `is_large` finds small, at once; None when its values are too large for that."""
        return reads.range_if_small(self, request)

    def range_steps(self, request: RangeRequest, slice_kvs: int = SLICE_KVS) -> Generator[None, None, Answer]:
        """Answer a RangeRequest, yielding between slices. Writes and compactions may happen meanwhile."""
        return reads.range_steps(self, request, slice_kvs)

    def get_kv_at(self, key: bytes, revision: int) -> bytes | None:
        """Return the KeyValue of a key as of `revision`; None where it did not exist, or that is compacted."""
        if revision < self.compact_revision:
            return None
        record = self.index.get_before(key, bound_after(revision))
        return None if record is None else self.backend.get(KEY, record)

    def lease_of(self, key: bytes) -> int:
        """Return the lease that a key hangs on, 0 for none."""
        return self._lease_of.get(key, 0)

    def lease_attachments(self) -> list[tuple[int, bytes]]:
        """Return (lease, key) of all keys that hang on a lease: what the lessor needs after a restart."""
        return [(lease_id, key) for key, lease_id in self._lease_of.items()]

    @property
    def keys_total(self) -> int:
        """How many keys exist now."""
        return len(self.index)

    # -- the history, for watchers

    def take_changes(self) -> list[Change]:
        """Return what was changed since the last call; recorded only while `record_changes` is set."""
        changes, self._changes = self._changes, []
        return changes

    def changes_between(self, start_revision: int, end_revision: int, limit: int = 1000) -> tuple[list[Change], int]:
        """Return the changes of [start, end) and the revision to go on from; that is `end_revision` when all were read.

        About `limit` changes at most; the changes of one revision are never torn apart. Raise Compacted where part of
        the history is gone.
        """
        self.check_not_compacted(start_revision)
        return read_changes(self.backend, start_revision, end_revision, limit)

    # -- compaction and hash

    def compact(self, revision: int) -> None:
        """Make history before `revision` unreadable, at once; what it leaves behind is removed by `compact_step`."""
        if revision <= self.compact_revision:
            raise Compacted
        if revision > self.current_revision:
            raise FutureRev
        previous, self.compact_revision = self.compact_revision, revision
        self.compaction.schedule(revision, previous)

    def apply_compaction(self, request: CompactionRequest) -> Answer:
        """Carry out a CompactionRequest. With `physical`, the answer is to be held until `is_compacting` is False."""
        self.compact(request.revision)
        return Answer(self.current_revision, _NOTHING)

    def compact_step(self, batch: int = 1000) -> bool:
        """Do one slice of the scheduled compaction, between entries. Return whether nothing is left to do."""
        return self.compaction.step(batch)

    @property
    def is_compacting(self) -> bool:
        return self.compaction.is_running

    def hash_kv(self, revision: int = 0) -> KvHash:
        """Return the hash of the history up to `revision` (0: now) at once."""
        return run_steps(self.hash_steps(revision))

    def hash_steps(self, revision: int = 0, slice_records: int = SLICE_RECORDS) -> Generator[None, None, KvHash]:
        """Return the hash of the history up to `revision`, yielding between slices."""
        return hash_steps(self, revision, slice_records)

    # -- restart

    def restore(self, restored: restore.Restored | None = None) -> None:
        """Take over revisions, index and lease attachments of what the backend holds; `restored`: read already."""
        if restored is None:
            restored = restore.read(self.backend)
        self.index = restored.index
        self.current_revision = restored.current_revision
        self.compact_revision = restored.compact_revision
        self._lease_of = restored.lease_of
        self._changes = []
        self._sub_revision = 0
        self.compaction = Compaction(self)
        if restored.is_compaction_unfinished:
            self.compaction.resume(restored.compact_revision)

    # -- what transactions are made of: effects without a revision of their own

    @property
    def visible_revision(self) -> int:
        """The revision that a read sees; inside of a write that has changed something, the one being made."""
        return self.current_revision + 1 if self._sub_revision else self.current_revision

    def execute_put(self, request: PutRequest) -> bytes:
        """Write a put into the revision being made; return its body. Everything was checked before."""
        key, value, lease_id = request.key, request.value, request.lease
        body = _NOTHING
        self.counters.puts += 1
        if request.prev_kv or request.ignore_value or request.ignore_lease:
            record = self.index.get(key)
            # Absent with ignore_*: an earlier operation deleted what the check still saw. Go members panic on it.
            previous = b"" if record is None else self.backend.get(KEY, record) or b""
            if request.prev_kv and record is not None:
                body = field_prefix(b"\x12", len(previous)) + previous
            kv = KeyValue.FromString(previous)
            if request.ignore_value:
                value = kv.value
            if request.ignore_lease:
                lease_id = kv.lease
        self._write_put(key, value, lease_id, self.current_revision + 1, self._sub_revision)
        self._sub_revision += 1
        return body

    def execute_delete_range(self, request: DeleteRangeRequest) -> bytes:
        """Write tombstones into the revision being made; return the body."""
        self.counters.deletes += 1
        keys = self._existing_keys(request.key, request.range_end)
        if not keys:
            return _NOTHING
        parts = [b"\x10" + encode_varint(len(keys))]
        if request.prev_kv:
            records = self.index.find_records(keys, None)
            for kv in self.backend.get_many(KEY, records):
                assert kv is not None
                parts += (field_prefix(b"\x1a", len(kv)), kv)
        for key in keys:
            self._write_delete(key)
        return b"".join(parts)

    def finish_revision(self) -> int:
        """End the write in progress; return the revision that a reader sees from now on."""
        if self._sub_revision:
            self._sub_revision = 0
            self.current_revision += 1
        return self.current_revision

    # -- inner works

    def _finish_write(self, body: bytes) -> Answer:
        return Answer(self.finish_revision(), body)

    def _write_put(self, key: bytes, value: bytes, lease_id: int, main: int, sub: int) -> None:
        record = pack_record(main, PUT, sub)
        created, version = self.index.put(key, record, main)
        kv = encode_key_value(key, created, main, version, value, lease_id)
        self.counters.put_bytes += len(kv)
        self.backend.put(KEY, record, kv)
        if lease_id or (self._lease_of and key in self._lease_of):
            self._hang_on(key, lease_id)
        if self.record_changes:
            self._changes.append(Change(key, kv, False, main))

    def _write_delete(self, key: bytes) -> None:
        main = self.current_revision + 1
        record = pack_record(main, TOMBSTONE, self._sub_revision)
        self._sub_revision += 1
        self.index.delete(key, record)
        stored = encode_tombstone(key)
        self.backend.put(KEY, disk_key(record), stored)
        if key in self._lease_of:
            self._hang_on(key, 0)
        if self.record_changes:
            self._changes.append(Change(key, delete_event(stored, main), True, main))

    def _hang_on(self, key: bytes, lease_id: int) -> None:
        """Move a key from the lease that it hangs on to `lease_id`, 0 for none."""
        old = self._lease_of.pop(key, 0)
        if old:
            self.lessor.detach(old, key)
        if lease_id:
            self._lease_of[key] = lease_id
            self.lessor.attach(lease_id, key)

    def _existing_keys(self, key: bytes, range_end: bytes) -> list[bytes]:
        if range_end:
            return self.index.keys_between(key, end_of(range_end))
        return [key] if self.index.get(key) is not None else []

    def check_not_compacted(self, revision: int) -> None:
        if revision < self.compact_revision:
            raise Compacted
