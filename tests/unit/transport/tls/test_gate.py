"""Places for handshakes: those who mean it get one, whoever only holds one loses it."""

from __future__ import annotations

import asyncio

import uvloop

from etcdpy.transport.tls import HandshakeGate

DEADLINE_SECONDS = 10.0


class Visitor:
    def __init__(self, gate: HandshakeGate) -> None:
        self.gate = gate
        self.is_in = asyncio.Event()
        self.was_evicted = False

    def come(self) -> Visitor:
        if self.gate.enter(self):
            self.is_in.set()
        return self

    def go_on(self) -> None:
        self.is_in.set()

    def evict(self) -> None:
        self.was_evicted = True
        self.gate.leave(self)


def test_a_place_that_is_left_goes_to_who_waited_longest() -> None:
    async def scenario() -> None:
        gate = HandshakeGate(asyncio.get_running_loop(), limit=1)
        first, second, third = (Visitor(gate).come() for _ in range(3))
        assert [visitor.is_in.is_set() for visitor in (first, second, third)] == [True, False, False]

        gate.leave(second)  # gave up waiting
        gate.leave(first)

        await asyncio.wait_for(third.is_in.wait(), DEADLINE_SECONDS)
        assert (gate.busy_count, gate.evicted_count) == (1, 0)

    uvloop.run(scenario())


def test_who_holds_a_place_too_long_loses_it_while_others_wait() -> None:
    async def scenario() -> None:
        gate = HandshakeGate(asyncio.get_running_loop(), limit=2)
        holders = [Visitor(gate).come() for _ in range(2)]
        good = Visitor(gate).come()

        await asyncio.wait_for(good.is_in.wait(), DEADLINE_SECONDS)

        # Only as many as there are others waiting, and the oldest first.
        assert [holder.was_evicted for holder in holders] == [True, False]
        assert gate.evicted_count == 1

    uvloop.run(scenario())
