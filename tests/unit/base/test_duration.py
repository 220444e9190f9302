"""Durations as Go writes them. The expected texts are what time.Duration.String and time.ParseDuration give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcdpy.base.duration import DurationError, format_duration, format_nanoseconds, parse_duration, parse_nanoseconds


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (545_183, "545.183µs"),
        (100_000_000, "100ms"),
        (1_000_000_000, "1s"),
        (1_500_000_000, "1.5s"),
        (60_000_000_000, "1m0s"),
        (3_600_000_000_000, "1h0m0s"),
        (5_430_000_000_000, "1h30m30s"),
        (-1_500_000, "-1.5ms"),
        ((1 << 63) - 1, "2562047h47m16.854775807s"),
    ],
)
def test_format(nanoseconds: int, text: str) -> None:
    assert format_nanoseconds(nanoseconds) == text
    assert parse_nanoseconds(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0.0), ("+5s", 5.0), ("1.5h", 5400.0), (".5s", 0.5), ("1.s", 1.0), ("1μs", 1e-6)]
)
def test_parse(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", 'time: invalid duration ""'),
        ("x", 'time: invalid duration "x"'),
        (".s", 'time: invalid duration ".s"'),
        ("-", 'time: invalid duration "-"'),
        ("5", 'time: missing unit in duration "5"'),
        ("1h5", 'time: missing unit in duration "1h5"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
        ("9999999999h", 'time: invalid duration "9999999999h"'),
    ],
)
def test_refused(text: str, complaint: str) -> None:
    with pytest.raises(DurationError) as caught:
        parse_nanoseconds(text)

    assert str(caught.value) == complaint


@given(st.integers(min_value=-(1 << 62), max_value=1 << 62))
def test_what_is_written_is_read_back(nanoseconds: int) -> None:
    assert parse_nanoseconds(format_nanoseconds(nanoseconds)) == nanoseconds


def test_seconds_are_rounded_to_nanoseconds() -> None:
    assert format_duration(0.1) == "100ms"
