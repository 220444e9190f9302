"""The table, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.capacity import FACTOR_MIN
from benchmarks.member import Contender
from benchmarks.runner import Result, Run

# What stands between these lines in docs/benchmarks.md is written by --write; what stands around them is not.
BEGIN: Final = "<!-- begin of what `make bench ARGS=--write` writes -->"
END: Final = "<!-- end of what `make bench ARGS=--write` writes -->"
# From here on the client has no core left to wait with.
CLIENT_BUSY_MAX: Final = 0.95
NOTHING: Final = "-"

HEADINGS: Final = ("what", "ours", "etcd", "unit", "ours/etcd", "target", "", "CPU us ours", "CPU us etcd", "anon MiB")
# Text to the left, figures to the right.
LEFT_COLUMNS: Final = frozenset({0, 3, 6})


def table(run: Run) -> list[list[str]]:
    """Return the cells, headings first."""
    return [list(HEADINGS), *(_cells(result) for result in run.results)]


def _cells(result: Result) -> list[str]:
    row = result.row
    sign = ("ours " if row.target_is_ours else "") + ("<=" if row.lower_is_better else ">=")
    return [
        row.title,
        _figure(result.median(Contender.OURS)),
        _figure(result.median(Contender.ETCD)),
        row.unit,
        NOTHING if result.ratio is None else f"{result.ratio:.2f}",
        NOTHING if row.target is None else f"{sign} {row.target}",
        _mark(result),
        _cpu(result.median_cpu_us(Contender.OURS)),
        _cpu(result.median_cpu_us(Contender.ETCD)),
        _anonymous(result),
    ]


def _mark(result: Result) -> str:
    if result.failure is not None:
        return "FAILED"
    return {True: "ok", False: "MISSED", None: ""}[result.reached]


def _figure(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _cpu(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}" if value < 1000 else f"{value:,.0f}"


def _anonymous(result: Result) -> str:
    ours, theirs = (result.median_anonymous_mib(one) for one in Contender)
    return NOTHING if ours is None or theirs is None else f"{ours:,.0f} / {theirs:,.0f}"


def plain(cells: list[list[str]]) -> str:
    """Return the table in columns."""
    widths = [max(len(line[at]) for line in cells) for at in range(len(cells[0]))]
    lines = [
        "  ".join(_pad(text, width, at) for at, (text, width) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in cells
    ]
    return "\n".join(lines)


def _pad(text: str, width: int, at: int) -> str:
    return text.ljust(width) if at in LEFT_COLUMNS else text.rjust(width)


def markdown(cells: list[list[str]]) -> str:
    rule = ["---" if at in LEFT_COLUMNS else "---:" for at in range(len(cells[0]))]
    return "\n".join("| " + " | ".join(line) + " |" for line in [cells[0], rule, *cells[1:]])


def notes(run: Run) -> list[str]:
    """Return what must be said about these figures: the client's strength, and where it was too weak."""
    said = [_capacity_note(run, at) for at in range(len(run.capacities))]
    for result in run.results:
        for contender in Contender:
            busy = result.median_client_busy(contender)
            if busy is not None and busy >= CLIENT_BUSY_MAX:
                said.append(f"{result.row.title}: the client was busy all the time ({busy:.0%}) with {contender.value}")
        said.extend(f"{result.row.title}: measured again after {reason}" for reason in result.repeated)
        if result.failure is not None:
            said.append(f"{result.row.title}: {result.failure}")
    return said


def _capacity_note(run: Run, at: int) -> str:
    capacity = run.capacities[at]
    factor = run.capacity_factor(capacity)
    text = (
        f"our load client, {capacity.shape}, against an empty server: {capacity.requests_per_second:,.0f} req/s at "
        f"{capacity.client_cpu_us:.1f} us of CPU"
    )
    if factor is None:
        return text
    verdict = "" if factor >= FACTOR_MIN else f": LESS than the {FACTOR_MIN:.0f} asked for"
    return f"{text}, {factor:.1f} times the faster server's{verdict}"


def rounds_table(run: Run) -> list[list[str]]:
    """Return every round's figure: how steady the medians are."""
    lines = [["what", "", "rounds"]]
    for result in run.results:
        for contender in Contender:
            figures = "  ".join(_figure(sample.value) for sample in result.samples[contender])
            lines.append([result.row.title, contender.value, figures or NOTHING])
    return lines


def document(run: Run, about: list[str], date: str) -> str:
    """Return the written part of docs/benchmarks.md."""
    parts = [
        BEGIN,
        f"Measured on {date}; medians of {run.rounds} interleaved rounds.",
        "\n".join(f"- {line}" for line in about),
        markdown(table(run)),
        "\n".join(f"- {line}" for line in notes(run)),
        "Every round:",
        markdown(rounds_table(run)),
        END,
    ]
    return "\n\n".join(part for part in parts if part)


def write_document(path: Path, written: str) -> None:
    """Put the written part into the document, in place of the former one. Raises ValueError without the marks."""
    text = path.read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path.name} lacks the marks between which the table stands")
    path.write_text(head + written + tail)
