"""The names, and which rows they mean."""

from __future__ import annotations

import pytest

from benchmarks import catalogue


def names(*only: str) -> list[str]:
    return [row.name for scenario in catalogue.select(list(only)) for row in scenario.rows]


def test_no_name_selects_everything() -> None:
    assert names() == [row.name for row in catalogue.all_rows()]
    assert len(set(names())) == len(names())


def test_a_prefix_selects_its_rows() -> None:
    assert names("put") == ["put-1x1", "put-100x1", "put-100x10"]


def test_a_whole_name_selects_one_row() -> None:
    assert names("put-100x1", "txn") == ["put-100x1", "txn"]


def test_rows_of_one_scenario_come_together() -> None:
    """They are made by one load."""
    assert names("start-keys") == ["load-keys", "memory-keys", "start-keys"]


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="no scenario 'pu'"):
        names("pu")
