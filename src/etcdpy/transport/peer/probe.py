"""Asks a peer now and then whether it lives, how far away it is, and what time it has.

A lease and an election care about clocks that run apart: more than a second is worth a line in the log.

Upstream: rafthttp/probing_status.go.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from datetime import UTC, datetime
from typing import Final

from etcdpy.base.ids import format_id
from etcdpy.base.log import Duration, log_warn
from etcdpy.transport.peer.client import KeptConnections, PeerFailure, request_head
from etcdpy.transport.peer.urls import UrlPicker
from etcdpy.transport.peer.world import World

PROBE_PATH: Final = "/raft/probing"
CLOCK_DRIFT_SECONDS_MAX: Final = 1.0
# What the newest round trip counts in the smoothed one (the usual weight, RFC 6298).
_NEWEST_WEIGHT: Final = 0.125
_ROUND_TRIPPER: Final = "ROUND_TRIPPER_RAFT_MESSAGE"
# Go gives up to nine digits of a second, and Python takes six.
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class Prober:
    """`round_trip_seconds` is the smoothed figure, None until the peer answered once."""

    def __init__(self, member_id: int, *, world: World, picker: UrlPicker, connections: KeptConnections) -> None:
        self._member_id = member_id
        self._world = world
        self._picker = picker
        self._connections = connections
        self.round_trip_seconds: float | None = None
        self.clock_drift_seconds = 0.0
        self._task = world.start(self._run())

    def close(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            await self._probe()
            await asyncio.sleep(self._world.timeouts.probe_seconds)

    async def _probe(self) -> None:
        url = self._picker.pick()
        begun = self._world.loop.time()
        try:
            answer = await self._connections.fetch(url, request_head(self._world, url, "GET", PROBE_PATH))
            if answer.status != 200:
                raise PeerFailure(f"got unexpected HTTP status code {answer.status} from {url}{PROBE_PATH}")
            their_time = parse_answer(answer.body)
        except (PeerFailure, OSError) as error:
            self._warn("prober detected unhealthy status", error=str(error))
            return
        self._record(self._world.loop.time() - begun, time.time() - their_time)

    def _record(self, round_trip: float, difference: float) -> None:
        smoothed = self.round_trip_seconds
        smoothed = round_trip if smoothed is None else smoothed + _NEWEST_WEIGHT * (round_trip - smoothed)
        self.round_trip_seconds = smoothed
        self.clock_drift_seconds = difference - smoothed / 2
        self._world.counters.round_trips.add(self._member_id, round_trip)
        if abs(self.clock_drift_seconds) > CLOCK_DRIFT_SECONDS_MAX:
            self._warn("prober found high clock drift", clock_drift=Duration(self.clock_drift_seconds))

    def _warn(self, text: str, **fields: object) -> None:
        log_warn(
            self._world.log,
            text,
            round_tripper_name=_ROUND_TRIPPER,
            remote_peer_id=format_id(self._member_id),
            rtt=Duration(self.round_trip_seconds or 0.0),
            **fields,
        )


def parse_answer(body: bytes) -> float:
    """Return the peer's time in seconds since 1970. Raise PeerFailure."""
    try:
        record = json.loads(body)
        match = _TIME.fullmatch(record["Now"]) if record["OK"] else None
        if match is None:
            raise PeerFailure(f"the probe was answered with {body[:100]!r}")
        date, fraction, zone = match.groups()
        whole = datetime.fromisoformat(date + ("+00:00" if zone == "Z" else zone))
        return whole.timestamp() + float(fraction or 0)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        raise PeerFailure(f"the probe was answered with {body[:100]!r}") from None


def format_answer(now_seconds: float) -> bytes:
    """Return what we answer a probe with."""
    now = datetime.fromtimestamp(now_seconds, UTC).isoformat().replace("+00:00", "Z")
    return b'{"OK":true,"Now":"%b"}\n' % now.encode()
