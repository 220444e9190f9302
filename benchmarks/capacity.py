"""Is our own load client quick enough to measure a server with? It is shown in every run that uses it.

The client sends the very same puts to a server that answers them with nothing. Both need a core; what comes out is what
the slower of the two can do, so a lower bound for the client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks.clients.protocol import ready_client
from benchmarks.requests import Shape, put_job
from benchmarks.scenario import Workbench

# Faster than either server by this factor, or it is the client that is measured.
FACTOR_MIN: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the client reached with the empty server."""

    shape: Shape
    requests_per_second: float
    client_cpu_us: float


def measure_capacity(bench: Workbench, shape: Shape) -> Capacity:
    with ready_client("empty_server") as server:
        job = put_job(bench, shape, f"127.0.0.1:{int(server.greeting)}")
        with ready_client("load", job) as client:
            outcome = client.run()
    return Capacity(
        shape=shape,
        requests_per_second=job.requests / outcome.seconds,
        client_cpu_us=outcome.client_cpu_seconds / job.requests * 1e6,
    )
