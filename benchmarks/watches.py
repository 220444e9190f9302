"""One put, a thousand events: how many events a second arrive."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.clients.protocol import WatchJob, ready_client
from benchmarks.member import Contender
from benchmarks.process import cpu_seconds_of
from benchmarks.scenario import Row, Sample, Workbench


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOut:
    """Watchers of one key, from the first put until the last event has arrived."""

    row: Row
    connections: int
    streams_per_connection: int
    watchers_per_stream: int
    puts: int
    rounds_max: None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        return (self.row,)

    def measure(self, bench: Workbench, contender: Contender) -> dict[str, Sample]:
        puts = bench.count(self.puts)
        with bench.fresh_member(contender) as member:
            job = WatchJob(
                address=member.address,
                connections=self.connections,
                streams_per_connection=self.streams_per_connection,
                watchers_per_stream=self.watchers_per_stream,
                puts=puts,
                warm_up=bench.warm_up(puts),
            )
            with ready_client("watch", job) as client:
                cpu_before = cpu_seconds_of(member.pid)
                outcome = client.run()
                cpu_seconds = cpu_seconds_of(member.pid) - cpu_before
        events = puts * job.watchers
        sample = Sample(
            value=events / outcome.seconds,
            server_cpu_us=cpu_seconds / events * 1e6,
            client_busy=outcome.client_cpu_seconds / outcome.seconds,
        )
        return {self.row.name: sample}
