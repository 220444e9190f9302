"""pflag's syntax."""

from __future__ import annotations

import pytest

from etcdpy.cli.etcdctl.flags import BOOL, DURATION, INT, STRING, STRINGS, Flag, FlagError, FlagSet

FLAGS = FlagSet(
    [
        Flag("all", BOOL, "false", "", "a"),
        Flag("write-out", STRING, "simple", "", "w"),
        Flag("limit", INT, "0", ""),
        Flag("wait", DURATION, "5s", ""),
        Flag("endpoints", STRINGS, "x:1", ""),
    ]
)


def test_flags_stand_anywhere() -> None:
    parsed = FLAGS.parse(["k", "--limit", "3", "v", "-a", "--wait=1m"])
    assert parsed.arguments == ["k", "v"]
    assert (parsed.integer("limit"), parsed.boolean("all"), parsed.seconds("wait")) == (3, True, 60.0)


def test_defaults_count_until_something_is_given() -> None:
    parsed = FLAGS.parse([])
    assert (parsed.string("write-out"), parsed.strings("endpoints"), parsed.is_given("limit")) == (
        "simple",
        ["x:1"],
        False,
    )


@pytest.mark.parametrize("words", [["-wjson"], ["-w=json"], ["-w", "json"], ["-awjson"], ["--write-out=json"]])
def test_all_forms_of_a_value(words: list[str]) -> None:
    assert FLAGS.parse(words).string("write-out") == "json"


def test_a_boolean_takes_no_word() -> None:
    parsed = FLAGS.parse(["--all", "false"])
    assert (parsed.boolean("all"), parsed.arguments) == (True, ["false"])
    assert FLAGS.parse(["--all=F"]).boolean("all") is False


def test_a_double_dash_ends_the_flags() -> None:
    parsed = FLAGS.parse(["k", "--", "-a", "--limit"])
    assert (parsed.arguments, parsed.dash_index) == (["k", "-a", "--limit"], 1)
    assert FLAGS.parse(["-"]).arguments == ["-"]


def test_lists_grow_and_others_are_replaced() -> None:
    parsed = FLAGS.parse(["--endpoints=a,b", "--endpoints", '"c,d",e', "--limit=1", "--limit=2"])
    assert (parsed.strings("endpoints"), parsed.integer("limit")) == (["a", "b", "c,d", "e"], 2)
    assert FLAGS.parse(["--endpoints="]).strings("endpoints") == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--nosuch"], "unknown flag: --nosuch"),
        (["-x"], "unknown shorthand flag: 'x' in -x"),
        (["-axw"], "unknown shorthand flag: 'x' in -xw"),
        (["--=x"], "bad flag syntax: --=x"),
        (["---x"], "bad flag syntax: ---x"),
        (["--limit"], "flag needs an argument: --limit"),
        (["-w"], "flag needs an argument: 'w' in -w"),
        (
            ["--limit=x"],
            'invalid argument "x" for "--limit" flag: strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (
            ["-a=maybe"],
            'invalid argument "maybe" for "-a, --all" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
    ],
)
def test_errors_are_pflag_s(words: list[str], text: str) -> None:
    with pytest.raises(FlagError) as caught:
        FLAGS.parse(words)
    assert text == str(caught.value)
