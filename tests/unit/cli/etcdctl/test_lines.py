"""Typed lines: words, comparisons, operations."""

from __future__ import annotations

import pytest

from etcdpy.cli.etcdctl.command.compare import CompareError, parse_compare
from etcdpy.cli.etcdctl.command.lines import split_line
from etcdpy.cli.etcdctl.command.txn import parse_operation
from etcdpy.cli.etcdctl.exits import BAD_ARGS, INVALID_INPUT, Exit
from etcdpy.client.request import compare
from etcdpy.pb import rpc_pb2 as rpc


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("put  a   b", ["put", "a", "b"]),
        (r'put a "b c\n\x41"', ["put", "a", "b c\nA"]),
        ("put a 'b \\n c'", ["put", "a", "b \\n c"]),
        ('put a"b"c d', ["put", 'a"b"c', "d"]),
        ('put "a"b', ["put", "a", "b"]),
        ('put "bc', ["put", "bc"]),
        ("put `b c`", ["put", "`b", "c`"]),
        ('put "" x', ["put", "", "x"]),
        ("", []),
    ],
)
def test_lines_are_split_at_blanks_and_quotes(line: str, words: list[str]) -> None:
    assert words == split_line(line)


def test_a_bad_escape_ends_the_program() -> None:
    with pytest.raises(Exit) as caught:
        split_line(r'put "a\qb"')
    assert (caught.value.code, caught.value.text) == (INVALID_INPUT, "invalid syntax")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('mod("k") > "5"', compare("mod", b"k", ">", 5)),
        ("ver(`k`)\t=\t`1` and more", compare("version", b"k", "=", 1)),
        ('c("a b") != "0"', compare("create", b"a b", "!=", 0)),
        (r'val("k\x00") < "v\n"', compare("value", b"k\x00", "<", b"v\n")),
        ('lease("k") = "ff"', compare("lease", b"k", "=", 255)),
    ],
)
def test_comparisons(line: str, expected: rpc.Compare) -> None:
    assert expected == parse_compare(line)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("foo", "malformed comparison: foo"),
        ("mod(foo) > 1", 'malformed comparison: mod(foo) > 1; got mod("")  ""'),
        ('mod("k")>"0"', 'malformed comparison: mod("k")>"0"; got mod("k")  ""'),
        ('mod("k") >"0"', 'malformed comparison: mod("k") >"0"; got mod("k") >"0" ""'),
        ('MOD("k") > "1"', 'malformed comparison: MOD("k") > "1" (unknown target MOD)'),
        ('mod("k") >= "1"', 'malformed comparison: mod("k") >= "1" (unknown operator >=)'),
        ('mod("k") > "x"', 'invalid txn compare request: mod("k") > "x"'),
    ],
)
def test_wrong_comparisons(line: str, text: str) -> None:
    with pytest.raises(CompareError) as caught:
        parse_compare(line)
    assert text == str(caught.value)


def test_operations() -> None:
    assert parse_operation('put k "a b" --prev-kv') == rpc.PutRequest(key=b"k", value=b"a b", prev_kv=True)
    assert parse_operation("get k --limit=2") == rpc.RangeRequest(key=b"k", limit=2)
    assert parse_operation("del k --prefix") == rpc.DeleteRangeRequest(key=b"k", range_end=b"l")


@pytest.mark.parametrize(
    ("line", "code"), [("get", 3), ("watch k", 3), ("get k -w json", 3), ("get -h", 3), ("put k", 128)]
)
def test_wrong_operations(line: str, code: int) -> None:
    with pytest.raises(Exit) as caught:
        parse_operation(line)
    assert code == caught.value.code
    assert code in (INVALID_INPUT, BAD_ARGS)
