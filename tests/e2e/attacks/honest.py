"""The honest client of the campaign: writes at a steady pace, and times every answer."""

from __future__ import annotations

import time
from typing import Final

from etcdpy.base.errors import EtcdError
from etcdpy.pb import rpc_pb2
from etcdpy.transport.grpc.blocking import BlockingChannel

PUT: Final = b"/etcdserverpb.KV/Put"
CALL_SECONDS: Final = 10.0
# Between two writes, unless an answer takes longer: 200 a second are no load for the member.
PACE_SECONDS: Final = 0.005
# How often somebody new comes.
NEWCOMER_SECONDS: Final = 1.0


class Timings:
    """What the client saw during one stretch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def p99_ms(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[len(ordered) * 99 // 100] * 1000


class HonestClient:
    """One connection that stays, and once a second one that is new: nobody may be kept out."""

    def __init__(self, port: int) -> None:
        self._endpoint = f"127.0.0.1:{port}"
        self._channel = BlockingChannel(self._endpoint)
        self._written = 0

    def close(self) -> None:
        self._channel.close()

    def work(self, seconds: float) -> Timings:
        timings = Timings()
        now = time.monotonic()
        end, newcomer_at = now + seconds, now + NEWCOMER_SECONDS / 2
        while now < end:
            self._put(self._channel, timings)
            if now >= newcomer_at:
                newcomer_at = now + NEWCOMER_SECONDS
                with BlockingChannel(self._endpoint) as newcomer:
                    self._put(newcomer, timings)
            time.sleep(max(0.0, now + PACE_SECONDS - time.monotonic()))
            now = time.monotonic()
        return timings

    def _put(self, channel: BlockingChannel, timings: Timings) -> None:
        self._written += 1
        request = rpc_pb2.PutRequest(key=b"honest/%d" % (self._written % 100), value=b"x" * 100)
        began = time.perf_counter()
        try:
            channel.unary(PUT, request.SerializeToString(), CALL_SECONDS)
        except EtcdError as error:
            timings.failures.append(error.text)
        timings.seconds.append(time.perf_counter() - began)
