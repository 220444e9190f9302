"""Large reads take turns, slice by slice, each answered once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator

from etcdpy.base.errors import Canceled, Compacted
from etcdpy.server.sliced_reads import READS_AT_ONCE_MAX, SlicedReads
from etcdpy.state.apply.applier import Result
from etcdpy.state.mvcc.answer import Answer


class Turns:
    """An event loop of which every turn is a call."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], None]] = deque()
        self.delivered: list[tuple[int, Result]] = []
        self.slices: list[int] = []
        self.gone: set[int] = set()
        self.put_off: set[int] = set()
        self.reads = SlicedReads(
            self.waiting.append,
            lambda ticket, result: self.delivered.append((ticket, result)),
            lambda ticket: ticket not in self.gone,
            lambda ticket: ticket in self.put_off,
        )

    def steps(self, ticket: int, slices: int) -> Generator[None, None, Answer]:
        for _ in range(slices):
            self.slices.append(ticket)
            yield
        return Answer(ticket, b"")

    def turn(self) -> None:
        for _ in range(len(self.waiting)):
            self.waiting.popleft()()

    def turn_until_quiet(self) -> int:
        turns = 0
        while self.waiting:
            self.turn()
            turns += 1
        return turns

    def tickets(self) -> list[int]:
        return [ticket for ticket, _ in self.delivered]


def test_a_read_is_one_slice_per_turn() -> None:
    turns = Turns()
    turns.reads.start(1, turns.steps(1, 3))
    assert turns.slices == [], "nothing happens in the turn that asks"

    assert turns.turn_until_quiet() == 4
    assert (turns.slices, turns.tickets()) == ([1, 1, 1], [1])


def test_reads_take_turns() -> None:
    turns = Turns()
    turns.reads.start(1, turns.steps(1, 3))
    turns.reads.start(2, turns.steps(2, 2))
    turns.turn_until_quiet()

    assert turns.slices == [1, 2, 1, 2, 1]
    assert turns.tickets() == [2, 1]


def test_many_readers_are_still_one_slice_per_turn() -> None:
    turns = Turns()
    for ticket in range(1, 6):
        turns.reads.start(ticket, turns.steps(ticket, 2))
    turns.turn()

    assert turns.slices == [1]


def test_a_mistake_ends_the_read_that_made_it_only() -> None:
    def refuse() -> Generator[None, None, Answer]:
        yield
        raise Compacted

    turns = Turns()
    turns.reads.start(1, refuse())
    turns.reads.start(2, turns.steps(2, 2))
    turns.turn_until_quiet()

    assert [(ticket, type(result)) for ticket, result in turns.delivered] == [(1, Compacted), (2, Answer)]


def test_a_read_may_be_started_when_all_others_are_done() -> None:
    turns = Turns()
    for ticket in (1, 2):
        turns.reads.start(ticket, turns.steps(ticket, 1))
        turns.turn_until_quiet()

    assert turns.tickets() == [1, 2]


def test_a_stop_takes_the_unfinished_and_no_slice_follows() -> None:
    turns = Turns()
    turns.reads.start(1, turns.steps(1, 1))
    turns.reads.start(2, turns.steps(2, 5))
    for _ in range(3):
        turns.turn()
    sliced = len(turns.slices)

    assert turns.reads.take_all() == [2]
    turns.turn_until_quiet()
    assert (turns.tickets(), len(turns.slices)) == ([1], sliced)


def test_only_so_many_answers_are_in_the_making_and_the_others_follow_in_order() -> None:
    turns = Turns()
    readers = list(range(1, READS_AT_ONCE_MAX + 4))
    for ticket in readers:
        turns.reads.start(ticket, turns.steps(ticket, 3))
    for _ in range(2 * READS_AT_ONCE_MAX):
        turns.turn()
    assert set(turns.slices) == set(readers[:READS_AT_ONCE_MAX])
    turns.turn_until_quiet()

    assert turns.tickets() == readers
    assert len(turns.slices) == 3 * len(readers)


def test_a_reader_who_has_gone_costs_no_further_slice() -> None:
    turns = Turns()
    for ticket in range(1, READS_AT_ONCE_MAX + 3):
        turns.reads.start(ticket, turns.steps(ticket, 3))
    turns.turn()
    turns.gone = {1, READS_AT_ONCE_MAX + 1}
    turns.turn_until_quiet()

    assert turns.slices.count(1) == 1 and turns.slices.count(READS_AT_ONCE_MAX + 1) == 0
    assert {ticket for ticket, result in turns.delivered if isinstance(result, Canceled)} == turns.gone
    assert len(turns.delivered) == READS_AT_ONCE_MAX + 2


def test_a_stop_takes_those_who_wait_to_begin_too() -> None:
    turns = Turns()
    readers = list(range(1, READS_AT_ONCE_MAX + 3))
    for ticket in readers:
        turns.reads.start(ticket, turns.steps(ticket, 3))

    assert turns.reads.take_all() == readers


def test_who_has_too_much_unread_when_his_turn_comes_is_put_off_and_forgotten() -> None:
    turns = Turns()
    last = READS_AT_ONCE_MAX + 3
    turns.put_off = {READS_AT_ONCE_MAX + 1, READS_AT_ONCE_MAX + 2}
    for ticket in range(1, last + 1):
        turns.reads.start(ticket, turns.steps(ticket, 2))
    turns.turn_until_quiet()

    assert turns.tickets() == [*range(1, READS_AT_ONCE_MAX + 1), last]
    assert not turns.put_off & set(turns.slices)
    assert turns.reads.take_all() == []
