"""A range in chunks, one in memory at a time: what RangeStream sends, a message each.

    steps: kvs, None, kvs, kvs ...   bytes of one message; None: nothing to send yet, but some work is done
    their end: Answer                the revision at which it began, and the last message: kvs, more, count

All chunks together, one behind the other, are the very answer that `range_steps` gives. Whoever takes them decides when
the next one is made: a slow reader costs one chunk, however long he takes.

Rules
  * All is read at the revision at which it began; compaction past it ends the stream with Compacted.
  * A chunk is at least one KeyValue, and not more than CHUNK_BYTES and one beyond that.
  * What is sorted or filtered needs the whole range at hand: such requests have no chunks (api.v3.range_stream).

Upstream: EtcdServer.rangeStream, of 3.7.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Final

from etcdpy.pb.rpc_pb2 import RangeRequest
from etcdpy.state.mvcc.answer import Answer
from etcdpy.state.mvcc.key_value import join_kvs, without_value
from etcdpy.state.mvcc.range_query import encode_tail
from etcdpy.state.mvcc.reads import begin, bound_of, count_steps, end_of, find_one, read_records

if TYPE_CHECKING:
    from etcdpy.state.mvcc.store import Store

ChunkSteps = Generator[bytes | None, None, Answer]

# etcd aims at --max-request-bytes. Less costs a stalled reader's member less, and is as quick: the work per message is
# small against that per KeyValue from 64 KiB on.
CHUNK_BYTES: Final = 256 * 1024
# Keys that one step looks at, about 1 ms of work; also the KeyValues of a chunk at most.
STEP_KEYS: Final = 1000
# How many records are read before their sizes are looked at. Of a run of large values behind small ones some are read
# in vain: they come in the next chunk.
GROUP_RECORDS_MAX: Final = 16


def chunk_steps(store: Store, request: RangeRequest) -> ChunkSteps:
    """Answer a range that is neither sorted nor filtered, chunk by chunk. Raise FutureRev or Compacted."""
    current = store.visible_revision
    revision = begin(store, request)
    if request.count_only:
        count = yield from count_steps(store, request, revision, STEP_KEYS)
        return Answer(current, encode_tail(count, False))
    last, count, more = yield from _kv_steps(store, request, revision)
    if more:
        count = yield from count_steps(store, request, revision, STEP_KEYS)
    return Answer(current, last + encode_tail(count, more))


def _kv_steps(
    store: Store, request: RangeRequest, revision: int
) -> Generator[bytes | None, None, tuple[bytes, int, bool]]:
    """Return the last chunk, how many KeyValues all of them have, and whether the limit cut off others."""
    limit = max(request.limit, 0)
    sent = 0
    chunk = b""  # kept until something is known to follow it: the last one is not for us to give out
    for found in _find_records(store, request, revision):
        if not found:
            yield None
        at = 0
        while at < len(found):
            if limit and sent == limit:
                return chunk, sent, True
            if chunk:
                taken_out, chunk = [chunk], b""
                yield taken_out.pop()  # whoever takes it has it alone: while he waits nothing of it is kept here
            store.check_not_compacted(revision)
            wanted = min(len(found), at + limit - sent) if limit else len(found)
            chunk, taken = _read_chunk(store, found[at:wanted], keys_only=request.keys_only)
            at += taken
            sent += taken
    return chunk, sent, False


def _find_records(store: Store, request: RangeRequest, revision: int) -> Generator[list[bytes], None, None]:
    """Give the records in force, a step's keys at a time; none may be among them."""
    if not request.range_end:
        record = find_one(store, request.key, revision)
        if record is not None:
            yield [record]
        return
    for keys in store.index.walk(request.key, end_of(request.range_end), STEP_KEYS):
        store.check_not_compacted(revision)
        yield store.index.find_records(keys, bound_of(store, revision))


def _read_chunk(store: Store, records: list[bytes], *, keys_only: bool) -> tuple[bytes, int]:
    """Return one chunk of the first of `records`, and how many of them it holds."""
    kvs: list[bytes] = []
    size, group = 0, 1
    while len(kvs) < len(records) and size < CHUNK_BYTES:
        for kv in read_records(store, records[len(kvs) : len(kvs) + group]):
            if size >= CHUNK_BYTES:
                break
            kvs.append(without_value(kv) if keys_only else kv)
            size += len(kv)
        group = min(2 * group, GROUP_RECORDS_MAX)
    return join_kvs(kvs), len(kvs)
