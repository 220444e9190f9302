"""What h2load prints, read."""

from __future__ import annotations

import pytest

from benchmarks.h2load import parse_output
from benchmarks.process import BenchError

OUTPUT = """\
starting benchmark...
finished in 2.96s, 33773.33 req/s, 2.06MB/s
requests: 100000 total, 100000 started, 100000 done, 100000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 100000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 6.11MB (6408300) total, 196.48KB (201200) headers (space savings 94.71%), 3.15MB (3300000) data
"""


def test_the_rate_and_the_data_bytes_are_found() -> None:
    assert parse_output(OUTPUT, 100_000) == (33773.33, 3_300_000)


def test_a_run_shorter_than_a_second_is_read() -> None:
    assert parse_output(OUTPUT.replace("2.96s", "981.20ms"), 100_000)[0] == 33773.33


def test_failed_requests_are_no_measurement() -> None:
    with pytest.raises(BenchError, match="not all of 100000 requests succeeded: requests: .* 99999 succeeded"):
        parse_output(OUTPUT.replace("100000 succeeded, 0 failed", "99999 succeeded, 1 failed"), 100_000)


def test_output_without_a_result_is_shown() -> None:
    with pytest.raises(BenchError, match="printed no result: starting"):
        parse_output("starting benchmark...\n", 1)
