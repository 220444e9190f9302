"""--auto-compaction-mode and --auto-compaction-retention, read together.

    periodic   a duration; a bare number counts hours
    revision   a number of revisions. A duration is taken too, in nanoseconds: so etcd reads it.

Upstream: embed.parseCompactionRetention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from etcdpy.base.duration import DurationError, parse_nanoseconds
from etcdpy.embed.config import Config
from etcdpy.embed.errors import StartError
from etcdpy.embed.flags import read_go_integer

PERIODIC: Final = "periodic"
REVISION: Final = "revision"
MODES: Final = ("", PERIODIC, REVISION)
HOUR_NANOSECONDS: Final = 3_600 * 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoCompaction:
    """What to keep. Neither: everything."""

    period_seconds: float = 0.0
    revisions: int = 0


def read_auto_compaction(config: Config) -> AutoCompaction:
    """Return what the settings ask for. Raise StartError with etcd's text."""
    text = config.auto_compaction_retention
    count = _read_decimal(text)
    is_revision = config.auto_compaction_mode == REVISION
    if count is None:
        try:
            count = parse_nanoseconds(text)
        except DurationError as error:
            raise StartError(f"error parsing CompactionRetention: {error}") from None
        if count < 0:  # 3.5.1 dies of it, later (GHSA-pm3m-32r3-7mfh)
            raise StartError(f'error parsing CompactionRetention: negative duration "{text}"')
    elif not is_revision:
        count *= HOUR_NANOSECONDS
    if not config.auto_compaction_mode:
        return AutoCompaction()
    return AutoCompaction(revisions=count) if is_revision else AutoCompaction(period_seconds=count / 1e9)


def _read_decimal(text: str) -> int | None:
    """Return what strconv.Atoi reads, if it is not negative."""
    if not text.removeprefix("+").isdigit() or not text.isascii():
        return None
    return read_go_integer(text.removeprefix("+").lstrip("0") or "0", is_signed=False)
