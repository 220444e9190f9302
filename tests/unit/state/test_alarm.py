"""Alarms: a set of (member, type), the same in memory and in the bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from etcdpy.state.alarm import CORRUPT, NONE, NOSPACE, AlarmStore
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = Backend.open(tmp_path)
    yield backend
    backend.close()


def listed(alarms: AlarmStore, kind: int = NONE) -> list[tuple[int, int]]:
    return [(alarm.memberID, alarm.alarm) for alarm in alarms.list_alarms(kind)]


def stored(backend: Backend) -> list[tuple[bytes, bytes]]:
    return backend.scan(buckets.ALARM, b"", None)


def test_nothing_is_raised_at_first(backend: Backend) -> None:
    alarms = AlarmStore(backend)

    assert listed(alarms) == [] and not alarms.is_raised(NOSPACE) and not alarms.is_raised(CORRUPT)


def test_raising_twice_is_raising_once(backend: Backend) -> None:
    alarms = AlarmStore(backend)

    assert [alarms.activate(7, NOSPACE), alarms.activate(7, NOSPACE)] == [True, False]
    assert listed(alarms) == [(7, NOSPACE)]


def test_the_bucket_holds_the_alarm_as_its_key(backend: Backend) -> None:
    AlarmStore(backend).activate(7, NOSPACE)

    assert stored(backend) == [(b"\x08\x07\x10\x01", b"")]


def test_an_alarm_is_raised_as_long_as_one_member_raises_it(backend: Backend) -> None:
    alarms = AlarmStore(backend)
    alarms.activate(7, NOSPACE)
    alarms.activate(8, NOSPACE)
    alarms.deactivate(7, NOSPACE)
    assert alarms.is_raised(NOSPACE)

    alarms.deactivate(8, NOSPACE)

    assert not alarms.is_raised(NOSPACE) and stored(backend) == []


def test_disarming_what_is_not_raised_does_nothing(backend: Backend) -> None:
    alarms = AlarmStore(backend)
    alarms.activate(7, NOSPACE)

    assert [alarms.deactivate(7, CORRUPT), alarms.deactivate(8, NOSPACE)] == [False, False]
    assert alarms.deactivate(7, NOSPACE) is True
    assert alarms.deactivate(7, NOSPACE) is False


def test_lists_are_in_a_fixed_order_and_of_one_type_where_asked(backend: Backend) -> None:
    alarms = AlarmStore(backend)
    for member, kind in [(9, CORRUPT), (3, NOSPACE), (1, CORRUPT), (2, NOSPACE)]:
        alarms.activate(member, kind)

    assert listed(alarms) == [(2, NOSPACE), (3, NOSPACE), (1, CORRUPT), (9, CORRUPT)]
    assert listed(alarms, CORRUPT) == [(1, CORRUPT), (9, CORRUPT)]


def test_a_restart_finds_them(tmp_path: Path) -> None:
    for expected in ([], [(7, NOSPACE), ((1 << 64) - 1, CORRUPT)]):
        backend = Backend.open(tmp_path)
        alarms = AlarmStore(backend)
        assert listed(alarms) == expected
        alarms.activate((1 << 64) - 1, CORRUPT)
        alarms.activate(7, NOSPACE)
        backend.end_entry(1, 1)
        backend.close()
