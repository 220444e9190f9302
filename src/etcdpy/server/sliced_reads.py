"""Large reads, a slice per turn of the loop each: who lists a million keys does not hold up a heartbeat.

Slices of different readers take turns. A reader whose client has gone is read for to the end: he cannot be told from
the others here, and his number is bounded by the requests that one connection may have open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator

from etcdpy.base.errors import EtcdError
from etcdpy.state.apply.applier import Result
from etcdpy.state.mvcc.answer import Answer

Steps = Generator[None, None, Answer]


class SlicedReads:
    """Reads in progress, first come first served by the slice."""

    def __init__(
        self, call_soon: Callable[[Callable[[], None]], object], deliver: Callable[[int, Result], None]
    ) -> None:
        self._call_soon = call_soon
        self._deliver = deliver
        self._reads: deque[tuple[int, Steps]] = deque()

    def start(self, ticket: int, steps: Steps) -> None:
        self._reads.append((ticket, steps))
        if len(self._reads) == 1:
            self._call_soon(self._step)

    def take_all(self) -> list[int]:
        """Return the tickets of unfinished reads and forget them: the member stops."""
        tickets = [ticket for ticket, _ in self._reads]
        self._reads.clear()
        return tickets

    def _step(self) -> None:
        if not self._reads:
            return
        ticket, steps = self._reads.popleft()
        result: Result | None = None
        try:
            next(steps)
            self._reads.append((ticket, steps))
        except StopIteration as done:
            result = done.value
        except EtcdError as error:
            result = error
        if self._reads:
            self._call_soon(self._step)
        if result is not None:
            self._deliver(ticket, result)
