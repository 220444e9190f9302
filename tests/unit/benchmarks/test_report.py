"""The table: medians, ratios, marks; and the document around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.capacity import Capacity
from benchmarks.member import Contender
from benchmarks.requests import Shape
from benchmarks.runner import Result, Run
from benchmarks.scenario import Row, Sample

QUICKER = Row(name="put-1x1", title="put", unit="req/s", target=1.5)
SMALLER = Row(name="memory", title="memory", unit="MiB", target=1.0, lower_is_better=True)


def result(row: Row, ours: list[float], theirs: list[float]) -> Result:
    made = Result(row=row)
    made.samples[Contender.OURS] = [Sample(value=value, server_cpu_us=10.0) for value in ours]
    made.samples[Contender.ETCD] = [Sample(value=value, server_cpu_us=20.0) for value in theirs]
    return made


def test_the_ratio_is_that_of_the_medians() -> None:
    assert result(QUICKER, [100, 300, 200], [50, 100, 400]).ratio == 2.0


@pytest.mark.parametrize(
    ("row", "ours", "reached"),
    [(QUICKER, 150.0, True), (QUICKER, 149.0, False), (SMALLER, 100.0, True), (SMALLER, 101.0, False)],
)
def test_a_target_is_reached_or_missed(row: Row, ours: float, reached: bool) -> None:
    assert result(row, [ours], [100.0]).reached is reached


def test_a_missed_target_is_marked() -> None:
    run = Run(rounds=1, results=[result(QUICKER, [100.0], [100.0]), result(SMALLER, [50.0], [100.0])])

    lines = report.plain(report.table(run)).splitlines()

    assert lines[1].split() == ["put", "100", "100", "req/s", "1.00", ">=", "1.5", "MISSED", "10.0", "20.0", "-"]
    assert lines[2].split()[6:8] == ["1.0", "ok"]


def test_a_target_may_be_for_ours_alone() -> None:
    share = Row(name="share", title="share", unit="share", target=0.85, target_is_ours=True)

    assert result(share, [0.85], [0.9]).reached is True
    assert result(share, [0.84], [0.1]).reached is False
    assert "ours >= 0.85" in report.plain(report.table(Run(rounds=1, results=[result(share, [0.9], [0.5])])))


def test_a_failed_row_is_shown_and_explained() -> None:
    failed = Result(row=QUICKER, failure="the server ended with 2")
    run = Run(rounds=1, results=[failed])

    assert "FAILED" in report.plain(report.table(run))
    assert report.notes(run) == ["put: the server ended with 2"]


def test_a_weak_load_client_is_told_of() -> None:
    distinct = result(Row(name="distinct-1x1", title="put", unit="req/s", target=None), [60.0], [40.0])
    shape = Shape(connections=1, streams=1, requests=1)
    capacity = Capacity(shape=shape, requests_per_second=90.0, client_cpu_us=5.0)

    (note,) = report.notes(Run(rounds=1, results=[distinct], capacities=[capacity]))

    assert note.endswith("1.5 times the faster server's: LESS than the 2 asked for")


def test_only_the_written_part_of_the_document_changes(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    run = Run(rounds=1, results=[result(QUICKER, [200.0], [100.0])])

    report.write_document(path, report.document(run, ["machine: one"], "2030-01-02"))

    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert "old" not in text
    assert "| put | 200 | 100 | req/s | 2.00 | >= 1.5 | ok | 10.0 | 20.0 | - |" in text


def test_a_document_without_marks_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    path.write_text("nothing\n")

    with pytest.raises(ValueError, match="lacks the marks"):
        report.write_document(path, "table")
