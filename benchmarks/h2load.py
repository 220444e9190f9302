"""h2load of Debian's nghttp2-client, and what it prints.

It posts one file again and again, which makes it the quickest client there is. It does not look at gRPC's trailers:
whoever uses it checks by other means that the answers were right (revisions after writes, bytes received after reads).
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.access import OPEN, Access
from benchmarks.process import BenchError, end_process, start_process

RUN_SECONDS_MAX: Final = 180.0
FINISHED: Final = re.compile(r"finished in (?P<value>[\d.]+)(?P<unit>us|ms|s|m|h), (?P<rate>[\d.]+) req/s")
SUCCEEDED: Final = re.compile(r"requests: .* (?P<done>\d+) done, (?P<succeeded>\d+) succeeded")
DATA: Final = re.compile(r"traffic: .* \((?P<bytes>\d+)\) data")


@dataclass(frozen=True, slots=True, kw_only=True)
class H2loadRun:
    """One run's figures. Invariant: every request was answered with HTTP status 200."""

    requests_per_second: float
    data_bytes: int
    client_cpu_seconds: float


def run_h2load(
    address: str,
    path: bytes,
    body: Path,
    *,
    connections: int,
    streams: int,
    requests: int,
    access: Access = OPEN,
) -> H2loadRun:
    """Make `requests` calls over `connections`, `streams` at once on each; one thread, count bounded by the caller."""
    command = [
        find_h2load(),
        "--threads=1",
        f"--clients={connections}",
        f"--max-concurrent-streams={streams}",
        f"--requests={requests}",
        f"--data={body}",
        "--header=content-type: application/grpc",
        "--header=te: trailers",
        *([f"--header=token: {access.token.decode()}"] if access.token else []),
        f"{access.scheme}://{address}{path.decode()}",
    ]
    before = _children_cpu_seconds()
    with tempfile.TemporaryFile() as output:
        process = start_process(command, log=output)
        try:
            process.wait(RUN_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise BenchError(f"h2load was not done after {RUN_SECONDS_MAX:.0f} s") from None
        finally:
            end_process(process)
        output.seek(0)
        printed = output.read().decode(errors="replace")
    rate, data_bytes = parse_output(printed, requests)
    return H2loadRun(
        requests_per_second=rate, data_bytes=data_bytes, client_cpu_seconds=_children_cpu_seconds() - before
    )


def parse_output(text: str, requests: int) -> tuple[float, int]:
    """Return requests per second and bytes of DATA; raises BenchError unless all requests succeeded."""
    finished, succeeded, data = FINISHED.search(text), SUCCEEDED.search(text), DATA.search(text)
    if not (finished and succeeded and data):
        raise BenchError(f"h2load printed no result: {text.strip()[-200:]}")
    if int(succeeded["succeeded"]) != requests:
        counts = "; ".join(line for line in text.splitlines() if line.startswith(("requests:", "status codes:")))
        raise BenchError(f"h2load: not all of {requests} requests succeeded: {counts}")
    return float(finished["rate"]), int(data["bytes"])


def find_h2load() -> str:
    """Return its path; a missing one is an error."""
    path = shutil.which("h2load")
    if path is None:
        raise BenchError("h2load is missing: install Debian's nghttp2-client")
    return path


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
