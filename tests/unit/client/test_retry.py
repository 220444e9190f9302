"""What may be sent again, and when."""

from __future__ import annotations

from etcdpy.base.errors import INVALID_ARGUMENT, UNAVAILABLE, EtcdError
from etcdpy.client import retry

LOST = EtcdError("transport is closing", UNAVAILABLE)


def test_only_reads_are_repeated_after_a_lost_connection() -> None:
    assert retry.may_retry(LOST, repeatable=True, attempts=1)
    assert not retry.may_retry(LOST, repeatable=False, attempts=1)


def test_a_write_that_never_left_is_repeated() -> None:
    assert retry.may_retry(EtcdError(retry.NEVER_SENT_TEXTS[0], UNAVAILABLE), repeatable=False, attempts=1)


def test_answers_are_final_and_attempts_end() -> None:
    assert not retry.may_retry(EtcdError("no", INVALID_ARGUMENT), repeatable=True, attempts=1)
    assert not retry.may_retry(LOST, repeatable=True, attempts=retry.ATTEMPTS_MAX)


def test_a_quorum_is_tried_before_the_first_pause() -> None:
    pauses = [retry.pause_seconds(attempts=n, endpoints=3, chance=0.5) for n in (1, 2, 3, 4)]
    assert pauses == [0.0, retry.PAUSE_SECONDS, 0.0, retry.PAUSE_SECONDS]


def test_reconnecting_gets_rarer_up_to_a_limit() -> None:
    assert retry.reconnect_seconds(0) < retry.reconnect_seconds(1) < retry.reconnect_seconds(5)
    assert retry.reconnect_seconds(10_000) == retry.RECONNECT_SECONDS_MAX
