"""Unary calls that took too long to serve: etcd's `request stats`, with what is secret left out.

No call is timed by itself. Tickets are numbers that only grow; now and then one of them is marked with the time, and
whatever has a lower number than a mark that is old enough has waited too long:

    tickets   1 ... 57 58 59 ... 90 91 ...
    marks     |          |         |             58 waits since the first mark, at most a tenth of the limit less
              t          t+30ms    t+60ms        than it says

So a call costs one comparison when it comes and one when it is answered, and a batch of answers one look at the clock.
With `--log-level=debug` every call is told, as in etcd, but at that level.

Upstream: v3rpc/interceptor.go, logUnaryRequestStats.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from etcdpy.base.errors import EtcdError
from etcdpy.base.log import DEBUG, Duration, format_time, log_debug, log_warn
from etcdpy.pb import rpc_pb2
from etcdpy.state.apply.applier import Result
from etcdpy.state.apply.loggable import describe_request
from etcdpy.transport.grpc.call import Call

# How exact a mark is, as a part of the limit, and how exact it need not be.
MARKS_PER_LIMIT: Final = 10
MARK_SECONDS_MIN: Final = 0.001
# Calls wait for some seconds at most. With a limit of nothing the marks of that time would be thousands.
MARKS_MAX: Final = 1000

RANGE_PATH: Final = b"/etcdserverpb.KV/Range"
PUT_PATH: Final = b"/etcdserverpb.KV/Put"
DELETE_PATH: Final = b"/etcdserverpb.KV/DeleteRange"
TXN_PATH: Final = b"/etcdserverpb.KV/Txn"


class Stats(NamedTuple):
    """What is said of one call; -1 where etcd does not count."""

    request_count: int
    request_size: int
    response_count: int
    response_size: int
    request_content: str


NO_STATS: Final = Stats(-1, -1, -1, -1, "")


class SlowCalls:
    """Marks tickets and tells of calls."""

    def __init__(
        self,
        log: logging.Logger,
        *,
        slow_seconds: float,
        call_later: Callable[[float, Callable[[], None]], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._is_debugging = log.level <= DEBUG
        self._slow_seconds = 0.0 if self._is_debugging else slow_seconds
        self._mark_seconds = max(self._slow_seconds / MARKS_PER_LIMIT, MARK_SECONDS_MIN)
        self._call_later = call_later
        self.clock = clock
        self._marks: deque[tuple[int, float]] = deque()  # (ticket, when it was taken), both growing; MARKS_MAX at most

    def mark(self, ticket: int, want_next: Callable[[], None]) -> None:
        """Note the time for `ticket` and those after it; `want_next` is called when another mark is due."""
        if len(self._marks) < MARKS_MAX:
            self._marks.append((ticket, self.clock()))
        self._call_later(self._mark_seconds, want_next)

    def has_old_marks(self) -> bool:
        """Return whether some ticket may have waited too long."""
        return bool(self._marks) and self.clock() - self._marks[0][1] > self._slow_seconds

    def find_slow(self, *, oldest: int, newest: int) -> int:
        """Return the ticket below which all have waited too long; `oldest` and `newest` are those that still wait."""
        marks = self._marks
        while len(marks) > 1 and marks[1][0] <= oldest:
            marks.popleft()
        limit = self.clock() - self._slow_seconds
        for ticket, taken_at in marks:
            if taken_at >= limit:
                return ticket
        return newest + 1

    def seconds_of(self, ticket: int) -> float:
        """Return how long a ticket has waited."""
        began = next((taken_at for first, taken_at in reversed(self._marks) if first <= ticket), self.clock())
        return self.clock() - began

    def is_slow(self, seconds: float) -> bool:
        return seconds > self._slow_seconds

    def tell(self, call: Call, result: Result | None, seconds: float) -> None:
        """Log one call. Before it is answered: then its message may be gone."""
        stats = stats_of(call.path, call.message, result)
        (log_debug if self._is_debugging else log_warn)(
            self._log,
            "request stats",
            **{
                "start time": format_time(time.time() - seconds),
                "time spent": Duration(seconds),
                "remote": call.peer or "No remote client info.",
                "response type": call.path.decode("utf-8", "replace"),
                "request count": stats.request_count,
                "request size": stats.request_size,
                "response count": stats.response_count,
                "response size": stats.response_size,
                "request content": stats.request_content,
            },
        )


def stats_of(path: bytes, message: bytes, result: Result | None) -> Stats:
    """Return what etcd says of a call to `path`."""
    body = b"" if result is None or isinstance(result, EtcdError) else result.body
    try:
        if path == RANGE_PATH:
            count = rpc_pb2.RangeResponse.FromString(body).count
            return _stats(0, len(message), count, body, rpc_pb2.RangeRequest.FromString(message))
        if path == PUT_PATH:
            return _stats(1, len(message), 0, body, rpc_pb2.PutRequest.FromString(message))
        if path == DELETE_PATH:
            count = rpc_pb2.DeleteRangeResponse.FromString(body).deleted
            return _stats(0, len(message), count, body, rpc_pb2.DeleteRangeRequest.FromString(message))
        if path == TXN_PATH:
            return _stats_of_txn(message, result, body)
    except (DecodeError, EtcdError):
        return NO_STATS  # what cannot be read was refused, and says nothing
    return NO_STATS


def _stats_of_txn(message: bytes, result: Result | None, body: bytes) -> Stats:
    """Count the operations of the branch that was taken."""
    if result is None or isinstance(result, EtcdError):
        return Stats(0, 0, 0, 0, "")
    request = rpc_pb2.TxnRequest.FromString(message)
    ops = request.success if rpc_pb2.TxnResponse.FromString(body).succeeded else request.failure
    return _stats(len(ops), sum(op.ByteSize() for op in ops), 0, body, request)


def _stats(request_count: int, request_size: int, response_count: int, body: bytes, request: object) -> Stats:
    return Stats(request_count, request_size, response_count, len(body), describe_request(request))
