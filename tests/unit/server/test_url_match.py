"""Which lists of URLs mean the same, and in which words they differ."""

from __future__ import annotations

import asyncio

import pytest

from etcdpy.server.url_match import find_difference, wait_difference

A, B = "http://10.0.0.1:1", "http://10.0.0.2:1"


@pytest.mark.parametrize(
    ("mine", "theirs", "difference"),
    [
        ([A, B], [B, A], ""),
        ([A], [A, B], f'len(["{A}"]) != len(["{A}" "{B}"])'),
        ([A], [B], f'"{A}"(resolved from "{A}") != "{B}"(resolved from "{B}")'),
    ],
)
def test_texts_are_compared_in_any_order(mine: list[str], theirs: list[str], difference: str) -> None:
    assert find_difference(mine, theirs) == difference
    assert asyncio.run(wait_difference(mine, theirs)) == difference


def test_what_names_stand_for_is_compared() -> None:
    assert find_difference(["http://m1:1"], [A], {"http://m1:1": A}) == ""
    assert find_difference(["http://m1:1"], [B], {"http://m1:1": A}) == (
        f'"{A}"(resolved from "http://m1:1") != "{B}"(resolved from "{B}")'
    )


def test_a_name_that_nobody_knows_is_a_difference() -> None:
    assert asyncio.run(wait_difference(["http://nobody.invalid:1"], [A]))


def test_localhost_is_not_looked_up() -> None:
    """As upstream: it is not the same as 127.0.0.1."""
    assert "resolved from" in asyncio.run(wait_difference(["http://localhost:1"], ["http://127.0.0.1:1"]))
