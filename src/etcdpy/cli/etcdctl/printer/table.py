"""Tables in boxes of ASCII, for what lists members or endpoints: headings in capitals and centred, cells to the right.

    +----------+-------+
    | ENDPOINT | HASH  |
    +----------+-------+
    |      a:1 | 12345 |
    +----------+-------+

A cell longer than CELL_COLUMNS_MAX is broken between words into lines that are as even as possible. A blank at its end
stays: etcd's alarms end in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from etcdpy.cli.etcdctl.printer import rows
from etcdpy.cli.etcdctl.printer.base import EndpointHash, EndpointHealth, EndpointStatus, Printer, SnapshotStatus

if TYPE_CHECKING:
    from etcdpy.pb import rpc_pb2 as rpc

CELL_COLUMNS_MAX: Final = 30


class TablePrinter(Printer):
    """See the module."""

    name = "table"

    def member_list(self, response: rpc.MemberListResponse) -> None:
        self._table(rows.MEMBER_HEADER, [rows.member_row(member) for member in response.members])

    def endpoint_health(self, found: Sequence[EndpointHealth]) -> None:
        self._table(rows.HEALTH_HEADER, [rows.health_row(item) for item in found])

    def endpoint_status(self, found: Sequence[EndpointStatus]) -> None:
        self._table(rows.STATUS_HEADER, [rows.status_row(item) for item in found])

    def endpoint_hash_kv(self, found: Sequence[EndpointHash]) -> None:
        self._table(rows.HASH_HEADER, [rows.hash_row(item) for item in found])

    def snapshot_status(self, status: SnapshotStatus) -> None:
        self._table(rows.SNAPSHOT_HEADER, [rows.snapshot_row(status)])

    def _table(self, header: Sequence[str], body: Sequence[Sequence[str]]) -> None:
        for line in table_lines(header, body):
            self.line(line)


def table_lines(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a boxed table."""
    cells = [[wrap(cell) for cell in row] for row in body]
    widths = [len(title) for title in header]
    for row, texts in zip(cells, body, strict=True):
        for column, (lines_, text) in enumerate(zip(row, texts, strict=True)):
            # A broken cell keeps the width it was broken at.
            widths[column] = max(widths[column], min(len(text), CELL_COLUMNS_MAX), *map(len, lines_))
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    titles = [_centre(title.upper(), width) for title, width in zip(header, widths, strict=True)]
    lines = [rule, _row(titles), rule]
    for row in cells:
        for at in range(max(map(len, row))):
            parts = [lines_[at] if at < len(lines_) else "" for lines_ in row]
            lines.append(_row([part.rjust(width) for part, width in zip(parts, widths, strict=True)]))
    return [*lines, rule]


def _row(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell} " for cell in cells) + "|"


def _centre(text: str, width: int) -> str:
    left = (width - len(text)) // 2
    return " " * left + text + " " * (width - len(text) - left)


def wrap(text: str) -> list[str]:
    """Break a text between words; no line is longer than CELL_COLUMNS_MAX or the longest word, whichever is more."""
    words = text.split()
    if not words:
        return [""]
    if text[-1] == " ":
        words[-1] += " "
    limit = max(CELL_COLUMNS_MAX, *map(len, words))
    # cost[i]: least sum of squared empty columns when words i.. are set; the last line costs nothing.
    cost: list[int] = [0] * (len(words) + 1)
    ends: list[int] = [len(words)] * (len(words) + 1)
    for start in range(len(words) - 1, -1, -1):
        best: int | None = None
        width = -1
        for end in range(start + 1, len(words) + 1):
            width += len(words[end - 1]) + 1
            if width > limit:
                break
            here = 0 if end == len(words) else (limit - width) ** 2 + cost[end]
            if best is None or here < best:
                best, ends[start] = here, end
        cost[start] = best or 0
    lines = []
    start = 0
    while start < len(words):
        lines.append(" ".join(words[start : ends[start]]))
        start = ends[start]
    return lines
