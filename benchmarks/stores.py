"""What a store costs: memory after many puts, memory with many keys, and the time to start on them.

Memory is VmRSS a few quiet seconds after the load, so that what runs behind it (commits, garbage collection) has run;
RssAnon beside it leaves out mapped files, whose pages the kernel may take back. Start is from exec until /health
answers true, after a clean stop, with all files in the page cache.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import messages
from benchmarks.clients.protocol import LoadJob, Outcome, ready_client
from benchmarks.h2load import run_h2load
from benchmarks.member import Contender, Member, running_member
from benchmarks.process import Memory, cpu_seconds_of, memory_of
from benchmarks.requests import REVISION_FIRST, Shape
from benchmarks.scenario import CHECK_SECONDS_MAX, Row, Sample, Workbench, asking, check_equal, revision_of
from etcdpy.pb import rpc_pb2

QUIET_SECONDS: Final = 3.0
PUTS_PER_TXN: Final = 100
READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryAfterPuts:
    """So many puts of one key: what the history and the log keep."""

    row: Row
    shape: Shape
    rounds_max: None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        return (self.row,)

    def measure(self, bench: Workbench, contender: Contender) -> dict[str, Sample]:
        puts = bench.count(self.shape.requests)
        with bench.fresh_member(contender) as member:
            body = bench.body_file(messages.put())
            connections, streams = self.shape.connections, self.shape.streams
            run_h2load(member.address, messages.PUT_PATH, body, connections=connections, streams=streams, requests=puts)
            check_equal("revisions", expected=REVISION_FIRST + puts, found=revision_of(member))
            return {self.row.name: memory_sample(quiet_memory(bench, member))}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyKeys:
    """A store of so many keys: the load, the memory, the start."""

    load: Row
    memory: Row
    start: Row
    keys: int
    rounds_max: int | None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        return (self.load, self.memory, self.start)

    def measure(self, bench: Workbench, contender: Contender) -> dict[str, Sample]:
        keys = bench.count(self.keys) // PUTS_PER_TXN * PUTS_PER_TXN
        with bench.fresh_folder() as folder:
            with running_member(contender, folder) as member:
                loading = load_keys(member, keys)
                memory = quiet_memory(bench, member)
            read_through(folder)
            with running_member(contender, folder) as member:
                started = Sample(value=member.start_seconds)
                check_equal("keys after the restart", expected=keys, found=count_keys(member))
        return {self.load.name: loading, self.memory.name: memory_sample(memory), self.start.name: started}


def load_keys(member: Member, keys: int) -> Sample:
    """Put the keys by transactions; return keys a second."""
    job = LoadJob(
        address=member.address,
        path=messages.TXN_PATH.decode(),
        connections=10,
        streams=2,
        requests=keys // PUTS_PER_TXN,
        warm_up=0,
        puts_per_request=PUTS_PER_TXN,
    )
    with ready_client("load", job) as client:
        cpu_before = cpu_seconds_of(member.pid)
        outcome = client.run()
        cpu_seconds = cpu_seconds_of(member.pid) - cpu_before
    check_equal("keys", expected=keys, found=count_keys(member))
    return loading_sample(keys, outcome, cpu_seconds)


def loading_sample(keys: int, outcome: Outcome, cpu_seconds: float) -> Sample:
    return Sample(
        value=keys / outcome.seconds,
        server_cpu_us=cpu_seconds / keys * 1e6,
        client_busy=outcome.client_cpu_seconds / outcome.seconds,
    )


def count_keys(member: Member) -> int:
    with asking(member) as channel:
        answer = channel.unary(messages.RANGE_PATH, messages.count_all(), CHECK_SECONDS_MAX)
    return int(rpc_pb2.RangeResponse.FromString(answer).count)


def quiet_memory(bench: Workbench, member: Member) -> Memory:
    time.sleep(0.0 if bench.quick else QUIET_SECONDS)
    return memory_of(member.pid)


def memory_sample(memory: Memory) -> Sample:
    return Sample(value=memory.resident_mib, anonymous_mib=memory.anonymous_mib)


def read_through(folder: Path) -> None:
    """Bring every file into the page cache."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(READ_BYTES):
                    pass
