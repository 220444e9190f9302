"""%q, with Go's own answers."""

from __future__ import annotations

import pytest

from etcdpy.raft.go_quote import quote


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", '""'),
        (b"plain text", '"plain text"'),
        (b'a"b\\c', '"a\\"b\\\\c"'),
        (b"\a\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'),
        (b"\x00\x1f\x7f", '"\\x00\\x1f\\x7f"'),
        ("äé世".encode(), '"äé世"'),
        (b"\xff\xfea", '"\\xff\\xfea"'),
        ("\u200b\u2028".encode(), '"\\u200b\\u2028"'),
        ("\U000e0001".encode(), '"\\U000e0001"'),
    ],
)
def test_quote(data: bytes, expected: str) -> None:
    assert quote(data) == expected
