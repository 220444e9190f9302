"""Large reads, a slice per turn of the loop each: who lists a million keys does not hold up a heartbeat.

Slices of different readers take turns. An answer in the making holds all its keys, so only a few are made at a time;
the others wait without having begun. A reader whose client has gone is dropped at his next slice; one whose client has
too much unread when his turn comes is put off.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import Final

from etcdpy.base.errors import Canceled, EtcdError
from etcdpy.state.apply.applier import Result
from etcdpy.state.mvcc.answer import Answer

Steps = Generator[None, None, Answer]

# Answers in the making. More would be no quicker, as one loop makes them all; with one, a long read holds up others.
READS_AT_ONCE_MAX: Final = 4


def is_always_wanted(ticket: int) -> bool:
    return True


def is_never_put_off(ticket: int) -> bool:
    return False


class SlicedReads:
    """Reads in progress, first come first served by the slice."""

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        deliver: Callable[[int, Result], None],
        is_wanted: Callable[[int], bool] = is_always_wanted,
        is_put_off: Callable[[int], bool] = is_never_put_off,
    ) -> None:
        """`is_put_off` is asked of those that had to wait; a ticket of which it says so is forgotten."""
        self._call_soon = call_soon
        self._deliver = deliver
        self._is_wanted = is_wanted
        self._is_put_off = is_put_off
        self._is_step_due = False
        self._reads: deque[tuple[int, Steps]] = deque()  # Invariant: not more than READS_AT_ONCE_MAX.
        self._waiting: deque[tuple[int, Steps]] = deque()  # Invariant: empty unless there are as many reads.

    def start(self, ticket: int, steps: Steps) -> None:
        if len(self._reads) == READS_AT_ONCE_MAX:
            self._waiting.append((ticket, steps))
            return
        self._reads.append((ticket, steps))
        self._schedule()

    def _schedule(self) -> None:
        if self._reads and not self._is_step_due:
            self._is_step_due = True
            self._call_soon(self._step)

    def take_all(self) -> list[int]:
        """Return the tickets of unfinished reads and forget them: the member stops."""
        tickets = [ticket for ticket, _ in (*self._reads, *self._waiting)]
        self._reads.clear()
        self._waiting.clear()
        return tickets

    def _step(self) -> None:
        self._is_step_due = False
        if not self._reads:
            return
        ticket, steps = self._reads.popleft()
        result = self._take_slice(ticket, steps)
        if result is None:
            self._reads.append((ticket, steps))
        else:
            self._deliver(ticket, result)
            self._begin_next()
        self._schedule()

    def _begin_next(self) -> None:
        while self._waiting:
            ticket, steps = self._waiting.popleft()
            if not self._is_put_off(ticket):
                self._reads.append((ticket, steps))
                return
            steps.close()

    def _take_slice(self, ticket: int, steps: Steps) -> Result | None:
        """Return the answer when this was the last slice."""
        if not self._is_wanted(ticket):
            steps.close()
            return Canceled()
        try:
            next(steps)
        except StopIteration as done:
            answer: Answer = done.value
            return answer
        except EtcdError as error:
            return error
        return None
