"""Go's notations, checked on values whose Go form is known."""

from __future__ import annotations

import pytest

from etcdpy.cli.etcdctl import go_text
from etcdpy.cli.etcdctl.go_text import GoError


@pytest.mark.parametrize(
    ("data", "quoted"),
    [
        (b"plain", '"plain"'),
        (b"", '""'),
        (b'say "hi"\\', r'"say \"hi\"\\"'),
        (b"\a\b\f\n\r\t\v", r'"\a\b\f\n\r\t\v"'),
        (b"\x00\x1f\x7f", r'"\x00\x1f\u007f"'),
        (b"\xff\xfe", r'"\xff\xfe"'),
        (b"\xe2\x80a", r'"\xe2\x80a"'),
        (b"\xed\xa0\x80", r'"\xed\xa0\x80"'),
        ("\u00e9\u2028\u00a0\ufffd\U0001f600\u00ad".encode(), '"\u00e9\\u2028\\u00a0\ufffd\U0001f600\\u00ad"'),
    ],
)
def test_quote_is_percent_q(data: bytes, quoted: str) -> None:
    assert quoted == go_text.quote(data)


def test_unquote_undoes_quote() -> None:
    data = bytes(range(256)) + "\u00e9\u2028\U0001f600".encode()
    assert data == go_text.unquote(go_text.quote(data))


def test_unquote_takes_every_escape() -> None:
    assert b"A\xff\xc3\xa9\xf0\x9f\x98\x80\x07S" == go_text.unquote(r'"\x41\xff\u00e9\U0001f600\a\123"')
    assert rb"raw\n" == go_text.unquote("`raw\\n`")


@pytest.mark.parametrize(
    "text", ["", '"', "x", '"a', '"a"b"', r'"\q"', r'"\x4"', r'"\400"', r'"\ud800"', "'a'", '"\\"']
)
def test_unquote_refuses(text: str) -> None:
    with pytest.raises(GoError, match="^invalid syntax$"):
        go_text.unquote(text)


@pytest.mark.parametrize(
    ("text", "base", "value"),
    [
        ("12", 10, 12),
        ("-7", 10, -7),
        ("+5", 10, 5),
        ("fF", 16, 255),
        ("0x1F", 0, 31),
        ("1_000", 0, 1000),
        ("017", 0, 15),
    ],
)
def test_parse_int_reads(text: str, base: int, value: int) -> None:
    assert value == go_text.parse_int(text, base)


@pytest.mark.parametrize("text", ["", "abc", "1_0", "0x10", " 1", "1 ", "--1", "\u0661", "+"])
def test_parse_int_refuses_what_go_refuses(text: str) -> None:
    with pytest.raises(GoError, match="invalid syntax$"):
        go_text.parse_int(text, 10)


def test_parse_int_knows_64_bits() -> None:
    assert go_text.parse_int("-9223372036854775808") == -(1 << 63)
    with pytest.raises(GoError, match='^strconv.ParseInt: parsing "9223372036854775808": value out of range$'):
        go_text.parse_int("9223372036854775808")
    assert go_text.parse_uint("ffffffffffffffff", 16) == (1 << 64) - 1
    with pytest.raises(GoError, match="^strconv.ParseUint.*invalid syntax$"):
        go_text.parse_uint("-1", 16)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("5s", 5 * 10**9),
        ("1h2m3.5s", 3_723_500_000_000),
        ("-1.5ms", -1_500_000),
        ("0", 0),
        (".5us", 500),
        ("1.s", 10**9),
    ],
)
def test_parse_duration_reads(text: str, nanoseconds: int) -> None:
    assert nanoseconds == go_text.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("xx", 'time: invalid duration "xx"'),
        (".s", 'time: invalid duration ".s"'),
        ("5", 'time: missing unit in duration "5"'),
        ("1.5.2s", 'time: missing unit in duration "1.5.2s"'),
        ("1h2x", 'time: unknown unit "x" in duration "1h2x"'),
    ],
)
def test_parse_duration_refuses_in_go_s_words(text: str, message: str) -> None:
    with pytest.raises(GoError) as caught:
        go_text.parse_duration(text)
    assert message == str(caught.value)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (956_715, "956.715\u00b5s"),
        (1_500_000, "1.5ms"),
        (5_001_276_851, "5.001276851s"),
        (3_600_000_000_000, "1h0m0s"),
        (-90_000_000_000, "-1m30s"),
    ],
)
def test_format_duration_is_go_s(nanoseconds: int, text: str) -> None:
    assert text == go_text.format_duration(nanoseconds)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (9, "9 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1550, "1.6 kB"),
        (9999, "10 kB"),
        (20480, "20 kB"),
        (21500, "22 kB"),
        (999_999, "1000 kB"),
        (2_147_483_648, "2.1 GB"),
    ],
)
def test_human_bytes_is_go_humanize(size: int, text: str) -> None:
    assert text == go_text.human_bytes(size)


def test_json_strings_are_safe_in_html() -> None:
    assert r'"\u003ca\u0026b\u003e\u2028\"\\\n\u0001"' == go_text.json_string('<a&b>\u2028"\\\n\x01')


def test_hex_bytes() -> None:
    assert rb"\x00\xff\x61" == go_text.hex_bytes(b"\x00\xffa")
