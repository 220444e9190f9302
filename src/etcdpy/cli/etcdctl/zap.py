"""Log lines on standard error in the shape that etcd's Go tools write (zap's JSON encoder).

`caller` names the place of the same message in etcd's tools: scripts and tests match whole lines.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping


def log_line(
    level: str,
    message: str,
    *,
    caller: str,
    fields: Mapping[str, object],
    logger: str = "",
    iso_time: bool = False,
) -> str:
    """Return one line. Clients of a command stamp it with ISO time, all others with seconds."""
    now = time.time()
    stamp: object = round(now, 7)
    if iso_time:
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        stamp = f"{whole}.{int(now * 1000) % 1000:03d}Z"
    record: dict[str, object] = {"level": level, "ts": stamp}
    if logger:
        record["logger"] = logger
    record |= {"caller": caller, "msg": message, **fields}
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"


def console_line(level: str, message: str, *, caller: str, fields: Mapping[str, object] | None = None) -> str:
    """Return one line in zap's other shape, which the offline commands write: columns set by tabs."""
    import datetime

    stamp = datetime.datetime.now().astimezone().isoformat(timespec="seconds").replace("+00:00", "Z")
    columns = [stamp, level, caller, message]
    if fields:
        columns.append(json.dumps(fields, ensure_ascii=False))
    return "\t".join(columns) + "\n"
