"""The requests, as bytes.

Values have 256 bytes, keys 8, as in etcd's own published benchmark. Distinct keys are spread over the key space by a
multiplication that hits every 64-bit number once: their order of arrival is not their order in the index.
"""

from __future__ import annotations

from typing import Final

from etcdpy.pb import kv_pb2, rpc_pb2

VALUE_BYTES: Final = 256
KEY: Final = b"benchkey"
# Found in every event of the key and nowhere else: a client counts events by counting it, without decoding them.
EVENT_MARK: Final = b"\x07event-of-bench\x07"
VALUE: Final = EVENT_MARK + b"v" * (VALUE_BYTES - len(EVENT_MARK))
# Odd, hence invertible modulo 2^64 (the golden ratio's, Knuth 6.4).
SPREAD: Final = 0x9E3779B97F4A7C15
RANGE_KEYS: Final = 1000
# All that is stored: the range [\0, \0) means every key.
EVERY_KEY: Final = b"\0"

PUT_PATH: Final = b"/etcdserverpb.KV/Put"
RANGE_PATH: Final = b"/etcdserverpb.KV/Range"
TXN_PATH: Final = b"/etcdserverpb.KV/Txn"
STATUS_PATH: Final = b"/etcdserverpb.Maintenance/Status"
HASH_KV_PATH: Final = b"/etcdserverpb.Maintenance/HashKV"
WATCH_PATH: Final = b"/etcdserverpb.Watch/Watch"
# The method follows.
AUTH_PATH: Final = b"/etcdserverpb.Auth/"

# A put of an 8-byte key is these bytes with the key in between.
PUT_HEAD: Final = b"\x0a\x08"
PUT_TAIL: Final = rpc_pb2.PutRequest(value=VALUE).SerializeToString()


def distinct_key(number: int) -> bytes:
    """Return the number-th of the distinct keys, 8 bytes."""
    return (number * SPREAD & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "big")


def put(key: bytes = KEY) -> bytes:
    return rpc_pb2.PutRequest(key=key, value=VALUE).SerializeToString()


def distinct_puts(first: int, count: int) -> list[bytes]:
    """Return puts of the keys first .. first+count-1."""
    return [PUT_HEAD + distinct_key(number) + PUT_TAIL for number in range(first, first + count)]


def put_many(first: int, count: int) -> bytes:
    """Return one transaction that puts the keys first .. first+count-1."""
    request = rpc_pb2.TxnRequest()
    for number in range(first, first + count):
        request.success.add().request_put.MergeFromString(PUT_HEAD + distinct_key(number) + PUT_TAIL)
    return request.SerializeToString()


def compare_and_put() -> bytes:
    """Return a transaction that puts the key when it exists."""
    request = rpc_pb2.TxnRequest()
    compare = request.compare.add()
    compare.target = rpc_pb2.Compare.VERSION
    compare.result = rpc_pb2.Compare.GREATER
    compare.key = KEY
    compare.version = 0
    request.success.add().request_put.MergeFromString(put())
    return request.SerializeToString()


def range_one(*, serializable: bool) -> bytes:
    return rpc_pb2.RangeRequest(key=KEY, serializable=serializable).SerializeToString()


def range_all() -> bytes:
    return rpc_pb2.RangeRequest(key=EVERY_KEY, range_end=EVERY_KEY).SerializeToString()


def count_all() -> bytes:
    return rpc_pb2.RangeRequest(key=EVERY_KEY, range_end=EVERY_KEY, count_only=True).SerializeToString()


def watch(key: bytes = KEY) -> bytes:
    request = rpc_pb2.WatchRequest()
    request.create_request.key = key
    return request.SerializeToString()


def key_values(answer: bytes) -> list[kv_pb2.KeyValue]:
    return list(rpc_pb2.RangeResponse.FromString(answer).kvs)


def framed(message: bytes) -> bytes:
    """Return the message as a gRPC body: what h2load posts."""
    return b"\0" + len(message).to_bytes(4, "big") + message
