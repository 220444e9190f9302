"""How words find a command."""

from __future__ import annotations

import pytest

from etcdpy.cli.etcdctl.table import ROOT, ROOT_FLAGS
from etcdpy.cli.etcdctl.tree import UnknownCommand, find


def found(line: str) -> tuple[list[str], list[str]]:
    result = find(ROOT, ROOT_FLAGS, line.split())
    return [command.name for command in result.path[1:]], result.words


@pytest.mark.parametrize(
    ("line", "path", "words"),
    [
        ("get a b", ["get"], ["a", "b"]),
        ("-w json get a", ["get"], ["-w", "json", "a"]),
        ("--hex get a", ["get"], ["--hex", "a"]),
        ("--endpoints get put k", ["put"], ["--endpoints", "get", "k"]),
        ("lease -w json grant 5", ["lease", "grant"], ["-w", "json", "5"]),
        ("endpoint --cluster health", ["endpoint", "health"], ["--cluster"]),
        ("vers", ["version"], []),
        ("lea gran 5", ["lease", "grant"], ["5"]),
        ("lease bogus 5", ["lease"], ["bogus", "5"]),
        ("-- get a", [], ["--", "get", "a"]),
        ("", [], []),
    ],
)
def test_words_lead_to_a_command(line: str, path: list[str], words: list[str]) -> None:
    assert (path, words) == found(line)


def test_an_unknown_flag_takes_the_next_word_with_it() -> None:
    with pytest.raises(UnknownCommand, match='^unknown command "foo" for "etcdctl"$'):
        found("--prefix get foo")


def test_similar_names_are_suggested() -> None:
    with pytest.raises(UnknownCommand) as caught:
        found("gett")
    assert str(caught.value) == 'unknown command "gett" for "etcdctl"\n\nDid you mean this?\n\tget\n'


def test_an_ambiguous_beginning_is_unknown() -> None:
    with pytest.raises(UnknownCommand, match="move-leader\n\tmember"):
        found("m")
