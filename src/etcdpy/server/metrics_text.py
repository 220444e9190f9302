"""Prometheus' text format, version 0.0.4, written as Go's client writes it.

prometheus_client has a writer of its own; it prints 1 as 1.0, renames counters and adds `_created` series, and tools
that look for `etcd_mvcc_put_total 2` would not find it.

Families are sorted by name, a family's samples stand as they came, labels are sorted by name with `le` last.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from prometheus_client.core import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# Go writes the shortest form with an exponent outside these powers of ten (strconv.FormatFloat with 'g').
EXPONENT_MIN: Final = -4
EXPONENT_MAX: Final = 6
PLAIN_BELOW: Final = 10**EXPONENT_MAX

# Sets of labels whose text is kept from scrape to scrape: some 60 methods with 17 codes, and histograms.
LABEL_SETS_MAX: Final = 8_192


def write_text(families: Iterable[Metric]) -> bytes:
    lines: list[str] = []
    for family in sorted(families, key=_shown_name):
        name = _shown_name(family)
        lines.append(f"# HELP {name} {_escape_help(family.documentation)}")
        lines.append(f"# TYPE {name} {_shown_type(family)}")
        for sample in family.samples:
            lines.append(f"{sample.name}{_labels(sample.labels)} {format_float(sample.value)}")
    return ("\n".join(lines) + "\n").encode()


def _shown_name(family: Metric) -> str:
    """A counter of prometheus_client is called without `_total`; its samples, and we, with it."""
    if family.type == "counter" and any(sample.name == family.name + "_total" for sample in family.samples):
        return family.name + "_total"
    if family.type == "info":
        return family.name + "_info"
    return family.name


def _shown_type(family: Metric) -> str:
    return {"info": "gauge", "unknown": "untyped"}.get(family.type, family.type)


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    pairs = ",".join(
        f'{name}="{_escape(labels[name])}"' for name in sorted(labels, key=lambda name: (name == "le", name))
    )
    return "{" + pairs + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def format_float(value: float) -> str:
    """Return the shortest text that reads back as `value`, as Go chooses it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    whole = int(value)
    if whole == value and abs(whole) < PLAIN_BELOW:
        return str(whole)
    number = Decimal(repr(float(value))).normalize()
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    power = len(digits) + exponent - 1
    if EXPONENT_MIN <= power < EXPONENT_MAX:
        return format(number, "f")
    mantissa = "".join(map(str, digits))
    mantissa = mantissa[0] + ("." + mantissa[1:] if len(mantissa) > 1 else "")
    return f"{'-' if value < 0 else ''}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
