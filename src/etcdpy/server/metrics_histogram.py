"""A histogram that costs one bisection per observation and nothing at all until it is read.

    counts[i] is the number of values in (bounds[i-1], bounds[i]]; counts[-1] those above the last bound.

Not prometheus_client's: that one takes a lock and walks a chain of objects per value.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable


def exponential_buckets(start: float, factor: float, count: int) -> tuple[float, ...]:
    """Return `count` bounds, each `factor` times the one before. Upstream: prometheus.ExponentialBuckets."""
    bounds = [start]
    for _ in range(count - 1):
        bounds.append(bounds[-1] * factor)
    return tuple(bounds)


class Histogram:
    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds  # Invariant: strictly increasing.
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def observe_many(self, values: Iterable[float]) -> None:
        """Take values gathered elsewhere, such as on another thread."""
        for value in values:
            self.observe(value)

    @property
    def count(self) -> int:
        return sum(self.counts)
