"""JSON with Go's texts. tests/compat/test_gateway_real.py holds many more against a real etcd."""

from __future__ import annotations

import pytest

from etcdpy.api.gateway.go_json import (
    SCANNED_CHARACTERS_MAX,
    Incomplete,
    JsonError,
    Number,
    kind_name,
    parse_first,
    parse_whole,
    write_text,
)


def test_the_first_value_is_taken_off() -> None:
    assert parse_first(' {"a":[1,"x"]} 7') == ({"a": [Number("1"), "x"]}, 14)
    assert parse_first('{"a":1} 7', 7) == (Number("7"), 9)


def test_numbers_stay_what_was_written() -> None:
    value = parse_whole("[1e3,-0,99999999999999999999]")

    assert value == ["1e3", "-0", "99999999999999999999"]
    assert all(isinstance(item, Number) for item in value)


def test_only_white_space_is_an_end_of_file() -> None:
    with pytest.raises(EOFError):
        parse_first(" \n\t ")


@pytest.mark.parametrize(
    "text", ["{", '{"a', '{"a"', '{"a":', "[1,", "tr", "-", "1.", "1e", '"\\u12', '{"a":{"b":[[1]']
)
def test_what_may_go_on_is_incomplete(text: str) -> None:
    with pytest.raises(Incomplete, match="unexpected EOF"):
        parse_first(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x", "invalid character 'x' looking for beginning of value"),
        ("NaN", "invalid character 'N' looking for beginning of value"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ("[1 2]", "invalid character '2' after array element"),
        ('"a\nb"', "invalid character '\\n' in string literal"),
        ('{"a":nulx}', "invalid character 'x' in literal null (expecting 'l')"),
        ("\u20ac", "invalid character '\u00e2' looking for beginning of value"),
        ("'", "invalid character '\\'' looking for beginning of value"),
    ],
)
def test_defects_have_gos_texts(text: str, error: str) -> None:
    with pytest.raises(JsonError) as caught:
        parse_first(text)
    assert str(caught.value) == error


def test_a_bomb_is_refused_and_cheap() -> None:
    for text in ("[" * 1_000_000, '{"a":' * 500_000):
        with pytest.raises(JsonError, match="exceeded max depth"):
            parse_first(text)


def test_a_defect_far_behind_is_not_scanned_for() -> None:
    with pytest.raises(JsonError, match="invalid character 'x'"):
        parse_first("[" + "1," * SCANNED_CHARACTERS_MAX + "x]")


def test_more_after_a_whole_value_is_a_defect() -> None:
    with pytest.raises(JsonError, match="invalid character 'x' after top-level value"):
        parse_whole("0x10")
    with pytest.raises(JsonError, match="unexpected end of JSON input"):
        parse_whole("")


def test_texts_are_written_as_go_does() -> None:
    assert write_text("plain") == '"plain"'
    assert (
        write_text('<a&b>"\\\n\b\u2028\u00e9\ud800') == '"\\u003ca\\u0026b\\u003e\\"\\\\\\n\\u0008\\u2028\u00e9\\ufffd"'
    )


def test_kinds_are_called_as_go_calls_them() -> None:
    values: list[object] = [Number("5"), "x", True, [], {}]

    assert [kind_name(value) for value in values] == ["number 5", "string", "bool", "array", "object"]
