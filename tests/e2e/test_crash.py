"""kill -9 at random moments, under load, again and again: nothing that was acknowledged may be lost or change.

ETCDPY_CRASH_ROUNDS sets the rounds (30 in `make test`); a failure names the seed and the round.
"""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest

from etcdpy.base.errors import EtcdError
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.transport.grpc.blocking import BlockingChannel
from tests.ours import ours_binary
from tests.reference import RunningEtcd, free_port, start_reference_etcd

ROUNDS = int(os.environ.get("ETCDPY_CRASH_ROUNDS", "30"))
WRITERS = 4
CALL_SECONDS = 20.0
PUT, TXN = b"/etcdserverpb.KV/Put", b"/etcdserverpb.KV/Txn"
RANGE, COMPACT = b"/etcdserverpb.KV/Range", b"/etcdserverpb.KV/Compact"
HASH_KV = b"/etcdserverpb.Maintenance/HashKV"


class Ledger:
    """What was acknowledged: key -> (value, revision). Filled by the writers, read when they have stopped."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.acknowledged: dict[bytes, tuple[bytes, int]] = {}
        self.newest_revision = 1

    def note(self, keys: list[bytes], value: bytes, revision: int) -> None:
        with self.lock:
            for key in keys:
                self.acknowledged[key] = (value, revision)
            self.newest_revision = max(self.newest_revision, revision)
            self.lock.notify()

    def wait_for(self, count: int) -> None:
        with self.lock:
            assert self.lock.wait_for(lambda: len(self.acknowledged) >= count, timeout=60), "the writers are stuck"


def _write(endpoint: str, ledger: Ledger, prefix: bytes, seed: int) -> None:
    """Write new keys until the server is gone: single puts, and transactions of two puts."""
    rng = random.Random(seed)
    channel = BlockingChannel(endpoint)
    number = 0
    try:
        while True:
            number += 1
            value = rng.randbytes(rng.choice([1, 100, 3000]))
            key = prefix + b"%06d" % number
            if rng.random() < 0.2:
                txn = pb.TxnRequest()
                for half in (b"/a", b"/b"):
                    txn.success.add().request_put.CopyFrom(pb.PutRequest(key=key + half, value=value))
                answer = channel.unary(TXN, txn.SerializeToString(), timeout=CALL_SECONDS)
                ledger.note([key + b"/a", key + b"/b"], value, pb.TxnResponse.FromString(answer).header.revision)
            else:
                put = pb.PutRequest(key=key, value=value).SerializeToString()
                answer = channel.unary(PUT, put, timeout=CALL_SECONDS)
                ledger.note([key], value, pb.PutResponse.FromString(answer).header.revision)
    except EtcdError:
        return  # killed: whether the last write happened is unknown, and so it is not in the ledger
    finally:
        channel.close()


def _start(tmp_path: Path, ports: tuple[int, int]) -> RunningEtcd:
    return start_reference_etcd(
        tmp_path,
        client_port=ports[0],
        peer_port=ports[1],
        binary=ours_binary("etcd"),
        flags=["--snapshot-count=700", "--experimental-compaction-batch-limit=50"],
    )


def _read_all(channel: BlockingChannel) -> pb.RangeResponse:
    everything = pb.RangeRequest(key=b"\0", range_end=b"\0").SerializeToString()
    return pb.RangeResponse.FromString(channel.unary(RANGE, everything, timeout=CALL_SECONDS))


def _hash(channel: BlockingChannel, revision: int) -> pb.HashKVResponse:
    request = pb.HashKVRequest(revision=revision).SerializeToString()
    return pb.HashKVResponse.FromString(channel.unary(HASH_KV, request, timeout=CALL_SECONDS))


@pytest.mark.slow
@pytest.mark.timeout(ROUNDS * 20)
def test_no_acknowledged_write_is_lost(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    ports = free_port(), free_port()
    ledger = Ledger()
    known_hash: pb.HashKVResponse | None = None
    for number in range(ROUNDS):
        where = f"seed {seed}, round {number}"
        with _start(tmp_path, ports) as server:
            channel = BlockingChannel(server.endpoint)
            known_hash = _check(channel, ledger, known_hash, where)
            if rng.random() < 0.3:
                compact = pb.CompactionRequest(revision=max(1, ledger.newest_revision - rng.randrange(100)))
                _try(channel, COMPACT, compact.SerializeToString())
                known_hash = None  # a compaction changes what earlier hashes counted
            channel.close()
            writers = [
                threading.Thread(
                    target=_write, args=(server.endpoint, ledger, b"%03d/%d/" % (number, n), rng.randrange(1 << 30))
                )
                for n in range(WRITERS)
            ]
            for writer in writers:
                writer.start()
            ledger.wait_for(len(ledger.acknowledged) + rng.randrange(1, 400))
            server.kill()
            for writer in writers:
                writer.join()
    with _start(tmp_path, ports) as server:
        channel = BlockingChannel(server.endpoint)
        _check(channel, ledger, known_hash, f"seed {seed}, the end")
        channel.close()


def _try(channel: BlockingChannel, path: bytes, message: bytes) -> None:
    try:
        channel.unary(path, message, timeout=CALL_SECONDS)
    except EtcdError as error:
        assert "compacted" in error.text, error


def _check(
    channel: BlockingChannel, ledger: Ledger, known_hash: pb.HashKVResponse | None, where: str
) -> pb.HashKVResponse:
    """Every acknowledged write is there, at its revision; the history before has not changed. Return its hash now."""
    found = _read_all(channel)
    kvs = {kv.key: kv for kv in found.kvs}
    for key, (value, revision) in ledger.acknowledged.items():
        assert key in kvs, f"{where}: {key!r}, acknowledged at revision {revision}, is gone"
        assert kvs[key].mod_revision == revision, f"{where}: {key!r} moved from {revision} to {kvs[key].mod_revision}"
        assert kvs[key].value == value, f"{where}: the value of {key!r} changed"
    assert found.header.revision >= ledger.newest_revision, f"{where}: revisions went back"
    halves = [key for key in kvs if key.endswith((b"/a", b"/b"))]
    for key in halves:
        other = key[:-1] + (b"b" if key.endswith(b"a") else b"a")
        assert other in kvs and kvs[other].mod_revision == kvs[key].mod_revision, f"{where}: half of a txn: {key!r}"
    if known_hash is not None:
        again = _hash(channel, known_hash.header.revision)
        if again.compact_revision == known_hash.compact_revision:
            assert again.hash == known_hash.hash, f"{where}: HashKV at {known_hash.header.revision} changed"
    return _hash(channel, 0)
