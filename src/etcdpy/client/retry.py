"""When a failed call is made again, and how long to wait before. Values only: the clients do the waiting.

Rules
  * A read may be repeated whenever no server answered it (UNAVAILABLE).
  * A write may be repeated only when it certainly never left: a connection lost half-way may have delivered it.
  * All endpoints of a quorum are tried before the first pause.

Upstream: client/v3/retry.go, retry_interceptor.go.
"""

from __future__ import annotations

from typing import Final

from etcdpy.base.errors import UNAVAILABLE, EtcdError

# As in etcd's client: a call that failed so often on so many endpoints will not succeed.
ATTEMPTS_MAX: Final = 100
PAUSE_SECONDS: Final = 0.025
PAUSE_JITTER_FRACTION: Final = 0.10
# gRPC's pauses between attempts to connect.
RECONNECT_SECONDS_FIRST: Final = 1.0
RECONNECT_GROWTH: Final = 1.6
RECONNECT_SECONDS_MAX: Final = 120.0
# Texts of a write that never left the client.
NEVER_SENT_TEXTS: Final = ("there is no address available", "there is no connection available")


def may_retry(error: EtcdError, *, repeatable: bool, attempts: int) -> bool:
    """Whether a call that failed `attempts` times, last with `error`, is made again."""
    if error.code != UNAVAILABLE or attempts >= ATTEMPTS_MAX:
        return False
    return repeatable or error.text in NEVER_SENT_TEXTS


def pause_seconds(*, attempts: int, endpoints: int, chance: float) -> float:
    """Return how long to wait before the next attempt. `chance` is a random number in [0, 1)."""
    quorum = endpoints // 2 + 1
    if attempts % quorum:
        return 0.0
    return PAUSE_SECONDS * (1 + PAUSE_JITTER_FRACTION * (2 * chance - 1))


def reconnect_seconds(rounds: int) -> float:
    """Return how long to wait after no endpoint could be reached `rounds` times (first: 0)."""
    # Past twenty the power only overflows; the maximum holds long before.
    return min(RECONNECT_SECONDS_FIRST * RECONNECT_GROWTH ** min(rounds, 20), RECONNECT_SECONDS_MAX)
