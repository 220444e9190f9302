"""Generate docs/metrics.md from the table of metrics.

python tools/generate_metrics_doc.py            write it
python tools/generate_metrics_doc.py --check    exit 1 when the committed page is not what the table gives
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from etcdpy.server.metrics_table import ELSEWHERE, FAMILIES, HEALTH_FAMILIES, NOT_HERE, PROXY_FAMILIES, Family

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "metrics.md"

INTRODUCTION: Final = """# Metrics

Made by `tools/generate_metrics_doc.py` from `src/etcdpy/server/metrics_table.py`; edit there.

`/metrics` of the client port, and of `--listen-metrics-urls`, shows the names of etcd 3.5 with its kinds and labels, so
that dashboards and alerts made for etcd work unchanged; some of our own making are in `contrib/`. A family with labels
appears once it has something to show. `grpc_server_handling_seconds` needs `--metrics=extensive`.
"""

ABSENT: Final = """
## What etcd has and we have not

Each tells of something that does not exist here. Those marked *0* are shown, and stay empty.

| metric | why |
| --- | --- |
"""


def page_text() -> str:
    rows = sorted(_row(family) for family in (*FAMILIES, *HEALTH_FAMILIES, *PROXY_FAMILIES, *ELSEWHERE))
    table = f"\n{len(rows)} families of etcd:\n\n| metric | kind | labels | |\n| --- | --- | --- | --- |\n"
    absent = "".join(f"| `{name}`{' *0*' if is_shown else ''} | {why} |\n" for name, is_shown, why in NOT_HERE)
    return INTRODUCTION + table + "".join(rows) + ABSENT + absent


def _row(family: Family) -> str:
    return f"| `{family.name}` | {family.kind} | {', '.join(family.labels)} | {family.help} |\n"


def main() -> None:
    text = page_text()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != text:
            raise SystemExit(f"stale: {PAGE.name} (run python tools/generate_metrics_doc.py)")
        return
    PAGE.write_text(text)
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
