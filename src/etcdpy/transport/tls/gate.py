"""How many handshakes are under way at once, so that strangers who begin them cannot keep the others out.

    accepted --- first bytes --> enter ---- room ----> shakes hands -----> leave
                                   \\--- no room --> waits in order ----/

Rules
  * A connection that has said nothing takes no place: it only has its deadline.
  * While others wait, whoever has held a place for longer than a second is dropped. A plain limit would let silent
    clients starve everybody (a good client then waited 9.5 s when it was tried; with this, half a second).
  * Deadlines run on while a connection waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

# A half-done handshake holds about 50 KiB: these are 13 MiB, and one second of four hundred clients who mean it.
HANDSHAKES_MAX: Final = 256
EVICTION_SECONDS: Final = 1.0
# A connection that waits costs a file descriptor, which the mux counts; this is only a bound for the queue itself.
SWEEPS_PER_EVICTION: Final = 4


class Handshake(Protocol):
    """Who takes a place."""

    def go_on(self) -> None:
        """There is room now."""

    def evict(self) -> None:
        """Others wait, and this one has taken too long."""


class HandshakeGate:
    """Of one process, or of one listener."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, limit: int = HANDSHAKES_MAX) -> None:
        self._loop = loop
        self._limit = limit
        self._since: dict[Handshake, float] = {}  # Invariant: in the order of time, at most _limit.
        self._waiting: deque[Handshake] = deque()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self.evicted_count = 0

    @property
    def busy_count(self) -> int:
        return len(self._since)

    def enter(self, handshake: Handshake) -> bool:
        """Take a place. False: there is none, `go_on` tells when there is."""
        if len(self._since) < self._limit:
            self._since[handshake] = self._loop.time()
            return True
        self._waiting.append(handshake)
        self._sweep_later()
        return False

    def leave(self, handshake: Handshake) -> None:
        """Give the place back, or do not wait for one any more."""
        if self._since.pop(handshake, None) is not None:
            self._admit()
        elif handshake in self._waiting:
            self._waiting.remove(handshake)

    def _admit(self) -> None:
        while self._waiting and len(self._since) < self._limit:
            handshake = self._waiting.popleft()
            self._since[handshake] = self._loop.time()
            self._loop.call_soon(handshake.go_on)

    def _sweep_later(self) -> None:
        if self._sweep_timer is None:
            self._sweep_timer = self._loop.call_later(EVICTION_SECONDS / SWEEPS_PER_EVICTION, self._sweep)

    def _sweep(self) -> None:
        self._sweep_timer = None
        long_ago = self._loop.time() - EVICTION_SECONDS
        late = [handshake for handshake, since in self._since.items() if since <= long_ago]
        for handshake in late[: len(self._waiting)]:
            self.evicted_count += 1
            handshake.evict()
        if self._waiting:
            self._sweep_later()
