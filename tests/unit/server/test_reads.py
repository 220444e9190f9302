"""Rounds of linearizable reads: who is in one, when it may be served, and how long it may take."""

from __future__ import annotations

from etcdpy.server.reads import ROUNDS_UNANSWERED_MAX, Read, ReadQueue

TIMEOUT = 7.0


def read(ticket: int) -> Read:
    return Read(ticket, 3, None)


def tickets(reads: list[Read]) -> list[int]:
    return [read.ticket for read in reads]


def queue_of(*gathered: int) -> ReadQueue:
    queue = ReadQueue()
    for ticket in gathered:
        queue.add(read(ticket))
    return queue


def test_only_the_first_that_gathers_asks_for_a_round() -> None:
    queue = ReadQueue()

    assert [queue.add(read(1)), queue.add(read(2))] == [True, False]
    queue.start_round(b"1", 0.0, TIMEOUT)
    assert queue.add(read(3)) is True


def test_a_round_is_served_when_confirmed_and_applied_and_only_once() -> None:
    queue = queue_of(1, 2)
    queue.start_round(b"1", 0.0, TIMEOUT)
    assert queue.take_ready(100) == [], "not confirmed"
    queue.confirm(b"1", 5)
    assert queue.take_ready(4) == [], "not applied"

    assert tickets(queue.take_ready(5)) == [1, 2]
    assert queue.take_ready(5) == []


def test_a_confirmation_never_serves_a_read_that_came_after_the_round_was_closed() -> None:
    queue = queue_of(1)
    queue.start_round(b"1", 0.0, TIMEOUT)
    queue.add(read(2))
    queue.confirm(b"1", 5)

    assert tickets(queue.take_ready(5)) == [1]
    queue.start_round(b"2", 0.0, TIMEOUT)
    queue.confirm(b"1", 5)  # once more, late
    assert queue.take_ready(5) == []
    queue.confirm(b"2", 5)
    assert tickets(queue.take_ready(5)) == [2]


def test_nobody_gathered_makes_no_round() -> None:
    queue = ReadQueue()
    assert not queue.wants_round
    queue.start_round(b"1", 0.0, TIMEOUT) if queue.wants_round else None
    queue.confirm(b"1", 1)

    assert queue.take_ready(9) == []


def test_rounds_may_be_confirmed_out_of_order() -> None:
    queue = queue_of(1)
    queue.start_round(b"1", 0.0, TIMEOUT)
    queue.add(read(2))
    queue.start_round(b"2", 0.0, TIMEOUT)
    queue.confirm(b"2", 3)

    assert tickets(queue.take_ready(3)) == [2]
    queue.confirm(b"1", 3)
    assert tickets(queue.take_ready(3)) == [1]


def test_an_unknown_confirmation_is_nobodys() -> None:
    queue = queue_of(1)
    queue.confirm(b"of an earlier life", 3)

    assert queue.take_ready(9) == []


def test_a_round_that_takes_too_long_expires() -> None:
    queue = queue_of(1)
    queue.start_round(b"1", 0.0, 7.0)
    queue.add(read(2))
    queue.start_round(b"2", 0.0, 8.0)
    queue.confirm(b"1", 50)  # confirmed, but never applied

    assert queue.take_expired(6.9, TIMEOUT) == []
    assert tickets(queue.take_expired(7.0, TIMEOUT)) == [1]
    assert tickets(queue.take_expired(8.0, TIMEOUT)) == [2]
    assert queue.take_ready(50) == []


def test_who_gathers_without_a_leader_expires_too_each_in_his_own_time() -> None:
    queue = queue_of(1, 2)
    assert queue.take_expired(0.0, TIMEOUT) == []
    queue.add(read(3))
    assert queue.take_expired(4.0, TIMEOUT) == []

    assert tickets(queue.take_expired(7.0, TIMEOUT)) == [1, 2]
    assert queue.take_expired(10.9, TIMEOUT) == []
    assert tickets(queue.take_expired(11.0, TIMEOUT)) == [3]
    assert queue.add(read(4)) is True


def test_a_round_that_is_asked_for_at_last_has_its_whole_time() -> None:
    queue = queue_of(1)
    queue.take_expired(0.0, TIMEOUT)
    queue.start_round(b"1", 0.0, 13.0)
    queue.add(read(2))

    assert queue.take_expired(7.0, TIMEOUT) == []
    assert tickets(queue.take_expired(13.0, TIMEOUT)) == [1]
    assert tickets(queue.take_expired(14.0, TIMEOUT)) == [2]


def test_a_stop_takes_all() -> None:
    queue = queue_of(1)
    queue.start_round(b"1", 0.0, TIMEOUT)
    queue.add(read(2))

    assert sorted(tickets(queue.take_all())) == [1, 2]
    assert queue.take_all() == [] and not queue.wants_round


def test_while_rounds_are_unanswered_reads_gather_for_the_next() -> None:
    queue = ReadQueue()
    for number in range(ROUNDS_UNANSWERED_MAX):
        queue.add(read(number))
        queue.start_round(b"%d" % number, 0.0, TIMEOUT)
    queue.add(read(98))
    queue.add(read(99))
    assert not queue.wants_round

    queue.confirm(b"0", 5)
    assert queue.wants_round
    queue.start_round(b"next", 0.0, TIMEOUT)
    queue.confirm(b"next", 5)

    assert [waiting.ticket for waiting in queue.take_ready(5)] == [0, 98, 99]


def test_an_unanswered_round_is_asked_for_again_under_a_new_context() -> None:
    """Etcd issue 20418: an answer to the old question must not serve the new one."""
    queue = ReadQueue()
    queue.add(read(1))
    queue.start_round(b"old", 1.0, TIMEOUT)
    queue.give_up_unanswered(1.0)
    assert not queue.wants_round  # it is not older than that
    queue.give_up_unanswered(1.1)
    assert queue.wants_round
    queue.start_round(b"new", 2.0, 100.0)

    queue.confirm(b"old", 3)
    assert queue.take_ready(9) == []
    queue.confirm(b"new", 4)

    assert [waiting.ticket for waiting in queue.take_ready(9)] == [1]
    assert not queue.wants_round


def test_asking_again_gives_nobody_more_time() -> None:
    queue = ReadQueue()
    queue.add(read(1))
    queue.start_round(b"old", 1.0, TIMEOUT)
    queue.add(read(2))
    queue.start_round(b"later", 1.5, TIMEOUT + 1)
    queue.give_up_unanswered(1.2)
    assert [waiting.ticket for waiting in queue.take_expired(TIMEOUT - 0.1, TIMEOUT)] == []
    queue.start_round(b"new", 2.0, 100.0)

    assert [waiting.ticket for waiting in queue.take_expired(TIMEOUT, TIMEOUT)] == [1]
    assert [waiting.ticket for waiting in queue.take_expired(TIMEOUT + 1, TIMEOUT)] == [2]
