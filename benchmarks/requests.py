"""Unary requests: how many a second.

h2load posts one prepared message; where keys must differ, our own client sends. Each measurement has a member of its
own, without data but for the keys that the requests read, and is preceded by a tenth as many calls that do not count.
Afterwards the member's revision (or the bytes that were received) tells whether all of it was really done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks import messages
from benchmarks.clients.protocol import LoadJob, ready_client
from benchmarks.h2load import H2loadRun, run_h2load
from benchmarks.member import Contender
from benchmarks.scenario import (
    CHECK_SECONDS_MAX,
    Row,
    Sample,
    Server,
    Workbench,
    asking,
    check_equal,
    revision_of,
)

# An empty store's revision.
REVISION_FIRST: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Connections, calls at once on each of them, calls in all: two to five seconds here."""

    connections: int
    streams: int
    requests: int

    def __str__(self) -> str:
        return f"{self.connections}x{self.streams}"


@dataclass(frozen=True, slots=True, kw_only=True)
class H2loadWrites:
    """The same message again and again, each a revision."""

    row: Row
    shape: Shape
    path: bytes
    message: bytes
    rounds_max: None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        return (self.row,)

    def measure(self, bench: Workbench, contender: Contender) -> dict[str, Sample]:
        with bench.fresh_member(contender) as member:
            return self.measure_on(bench, member)

    def measure_on(self, bench: Workbench, server: Server) -> dict[str, Sample]:
        """Make the figure with this server, which is without data."""
        requests = bench.count(self.shape.requests)
        warm_up = bench.warm_up(requests)
        # The key exists: the transactions compare it.
        with asking(server) as channel:
            channel.unary(messages.PUT_PATH, messages.put(), CHECK_SECONDS_MAX)
        _, sample = measured_run(bench, server, self.shape, requests, warm_up, self.path, self.message)
        check_equal("revisions", expected=REVISION_FIRST + 1 + warm_up + requests, found=revision_of(server))
        return {self.row.name: sample}


@dataclass(frozen=True, slots=True, kw_only=True)
class H2loadReads:
    """Range over a store of so many keys."""

    row: Row
    shape: Shape
    keys: int
    message: bytes
    rounds_max: None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        return (self.row,)

    def measure(self, bench: Workbench, contender: Contender) -> dict[str, Sample]:
        with bench.fresh_member(contender) as member:
            return self.measure_on(bench, member)

    def measure_on(self, bench: Workbench, server: Server) -> dict[str, Sample]:
        """Make the figure with this server, which is without data."""
        requests = bench.count(self.shape.requests)
        answer_bytes = self._fill(server)
        warm_up = bench.warm_up(requests)
        run, sample = measured_run(bench, server, self.shape, requests, warm_up, messages.RANGE_PATH, self.message)
        check_equal("bytes received", expected=answer_bytes * requests, found=run.data_bytes)
        return {self.row.name: sample}

    def _fill(self, server: Server) -> int:
        """Write the keys; return the size of every answer, which does not change afterwards."""
        with asking(server) as channel:
            if self.keys == 1:
                channel.unary(messages.PUT_PATH, messages.put(), CHECK_SECONDS_MAX)
            else:
                for first in range(0, self.keys, 100):
                    channel.unary(messages.TXN_PATH, messages.put_many(first, 100), CHECK_SECONDS_MAX)
            answer = channel.unary(messages.RANGE_PATH, self.message, CHECK_SECONDS_MAX)
        check_equal("keys", expected=self.keys, found=len(messages.key_values(answer)))
        return len(messages.framed(answer))


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinctPuts:
    """Puts of keys that never repeat, by our own client."""

    row: Row
    shape: Shape
    rounds_max: None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        return (self.row,)

    def measure(self, bench: Workbench, contender: Contender) -> dict[str, Sample]:
        with bench.fresh_member(contender) as member:
            job = put_job(bench, self.shape, member.address)
            with ready_client("load", job) as client:
                cpu_before = member.cpu_seconds()
                outcome = client.run()
                cpu_seconds = member.cpu_seconds() - cpu_before
            check_equal("revisions", expected=REVISION_FIRST + job.warm_up + job.requests, found=revision_of(member))
        sample = Sample(
            value=job.requests / outcome.seconds,
            server_cpu_us=cpu_seconds / job.requests * 1e6,
            client_busy=outcome.client_cpu_seconds / outcome.seconds,
        )
        return {self.row.name: sample}


def put_job(bench: Workbench, shape: Shape, address: str) -> LoadJob:
    requests = bench.count(shape.requests)
    return LoadJob(
        address=address,
        path=messages.PUT_PATH.decode(),
        connections=shape.connections,
        streams=shape.streams,
        requests=requests,
        warm_up=bench.warm_up(requests),
    )


def measured_run(
    bench: Workbench, server: Server, shape: Shape, requests: int, warm_up: int, path: bytes, message: bytes
) -> tuple[H2loadRun, Sample]:
    """Run h2load twice, and look at the server's CPU around the second run."""
    body = bench.body_file(message)
    connections = min(shape.connections, warm_up)
    run_h2load(
        server.address,
        path,
        body,
        connections=connections,
        streams=shape.streams,
        requests=warm_up,
        access=server.access,
    )
    cpu_before = server.cpu_seconds()
    run = run_h2load(
        server.address,
        path,
        body,
        connections=shape.connections,
        streams=shape.streams,
        requests=requests,
        access=server.access,
    )
    cpu_seconds = server.cpu_seconds() - cpu_before
    sample = Sample(
        value=run.requests_per_second,
        server_cpu_us=cpu_seconds / requests * 1e6,
        client_busy=run.client_cpu_seconds / (requests / run.requests_per_second),
    )
    return run, sample
