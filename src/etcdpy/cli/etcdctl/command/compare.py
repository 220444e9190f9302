"""A comparison as `etcdctl txn` reads it: mod("key") > "5", value("key") = "text", lease("key") = "0".

Both operands are quoted as in Go ("..." or `...`), blanks stand around the operator. Targets: ver or version, c or
create, m or mod, val or value, lease. Operators: = != > <.
"""

from __future__ import annotations

from typing import Final

from etcdpy.cli.etcdctl.go_text import GoError, parse_int, quote, unquote
from etcdpy.client.request import compare
from etcdpy.pb import rpc_pb2 as rpc

_TARGETS: Final = {
    "ver": "version",
    "version": "version",
    "c": "create",
    "create": "create",
    "m": "mod",
    "mod": "mod",
    "val": "value",
    "value": "value",
    "lease": "lease",
}
_OPERATORS: Final = ("=", "!=", ">", "<")
_BLANKS: Final = " \t\r\v\f"


class CompareError(ValueError):
    """The line is not a comparison; the text is etcdctl's."""


def parse_compare(line: str) -> rpc.Compare:
    """Return the comparison that a line stands for."""
    target, parenthesis, rest = line.partition("(")
    if not parenthesis:
        raise CompareError(f"malformed comparison: {line}")
    scan = _Scan(rest)
    if not scan.read():
        raise CompareError(
            f"malformed comparison: {line}; got {target}({quote(scan.key)}) {scan.operator} {quote(scan.operand)}"
        )
    name = _TARGETS.get(target)
    if name is None:
        raise CompareError(f"malformed comparison: {line} (unknown target {target})")
    if scan.operator not in _OPERATORS:
        raise CompareError(f"malformed comparison: {line} (unknown operator {scan.operator})")
    if name == "value":
        return compare(name, scan.key, scan.operator, scan.operand)
    try:
        number = parse_int(scan.operand.decode("utf-8", "surrogateescape"), 16 if name == "lease" else 10)
    except GoError:
        raise CompareError(f"invalid txn compare request: {line}") from None
    return compare(name, scan.key, scan.operator, number)


class _Scan:
    """Reads `"key") op "operand"` as far as it is well-formed; what was not reached stays empty."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.key = b""
        self.operator = ""
        self.operand = b""

    def read(self) -> bool:
        """Whether all three were there; anything behind them is ignored."""
        key = self._quoted()
        if key is None:
            return False
        self.key = key
        if not self._text.startswith(")") or self._text[1:2] not in tuple(_BLANKS):
            return False
        self._text = self._text[1:].lstrip(_BLANKS)
        self.operator = self._text.split()[0] if self._text else ""
        self._text = self._text[len(self.operator) :]
        if not self.operator or self._text[:1] not in tuple(_BLANKS):
            return False
        operand = self._quoted()
        if operand is None:
            return False
        self.operand = operand
        return True

    def _quoted(self) -> bytes | None:
        text = self._text.lstrip(_BLANKS)
        end = _end_of_literal(text)
        if end is None:
            return None
        try:
            value = unquote(text[:end])
        except GoError:
            return None
        self._text = text[end:]
        return value


def _end_of_literal(text: str) -> int | None:
    """Return where the literal ends that `text` begins with."""
    mark = text[:1]
    if mark not in ('"', "`") or not mark:
        return None
    at = 1
    while at < len(text):
        if text[at] == mark:
            return at + 1
        at += 2 if text[at] == "\\" and mark == '"' else 1
    return None
