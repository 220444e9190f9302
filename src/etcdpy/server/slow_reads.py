"""Reads that took too long: those who waited for the leader's word, and those who read much.

Reads are not timed one by one: what is answered in one turn of the loop waited for the same round, or less. So one look
at the clock per turn says whether any of them may have been slow, and only then is each of them told, as etcd tells it.

Upstream: etcdserver/util.go, warnOfExpensiveReadOnlyRangeRequest and -TxnRequest.
"""

from __future__ import annotations

from collections.abc import Iterable

from etcdpy.base.varint import decode_varint
from etcdpy.pb.rpc_pb2 import TxnResponse
from etcdpy.server.apply_times import ApplyTimes, answer_size
from etcdpy.server.reads import Read
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.applier import Result
from etcdpy.state.apply.loggable import describe_request
from etcdpy.state.mvcc.answer import Answer

_KVS_TAG = 2 << 3 | 2


class SlowReads:
    """Tells of reads; counts them with the entries that were slow, as etcd does."""

    def __init__(self, times: ApplyTimes, *, slow_seconds: float) -> None:
        self._times = times
        self.slow_seconds = slow_seconds

    def tell(self, reads: Iterable[Read], results: dict[int, Result], seconds: float) -> None:
        """Tell of those of `reads` that have a result: the others are still being read, or asked for nothing."""
        for read in reads:
            result = results.get(read.ticket)
            if result is not None and read.kind in (kinds.RANGE, kinds.TXN):
                self.tell_one(read, result, seconds)

    def tell_one(self, read: Read, result: Result, seconds: float) -> None:
        is_range = read.kind == kinds.RANGE
        response = None
        if isinstance(result, Answer):
            size = f"size:{answer_size(result)}"
            response = f"{_count_range(result) if is_range else _count_txn(result.body)} {size}"
        self._times.tell_slow(
            request=describe_request(read.request),
            result=result,
            seconds=seconds,
            prefix="read-only range " if is_range else "read-only txn ",
            response=response,
        )


def _count_range(answer: Answer) -> str:
    content = answer.content
    return f"range_response_count:{count_kvs([content] if isinstance(content, bytes) else content)}"


def _count_txn(body: bytes) -> str:
    ranges = (op.response_range for op in TxnResponse.FromString(body).responses if op.HasField("response_range"))
    return f"responses:<{' '.join(f'range_response_count:{len(answer.kvs)}' for answer in ranges)}>"


def count_kvs(pieces: list[bytes]) -> int:
    """Return how many kvs a RangeResponse has, without reading them: they come first, each with its length.

    A tag and its length are in the same piece; the KeyValue may go on in the next.
    """
    count = position = 0
    for piece in pieces:
        while position < len(piece) and piece[position] == _KVS_TAG:
            size, position = decode_varint(piece, position + 1)
            position += size
            count += 1
        if position < len(piece):
            break
        position -= len(piece)
    return count
