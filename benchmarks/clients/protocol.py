"""What the child says and hears on its stdin and stdout; both sides stand here."""

from __future__ import annotations

import gc
import json
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final

from benchmarks.member import REPOSITORY
from benchmarks.process import BenchError, end_process, start_process

READY: Final = b"ready"
GO: Final = b"go\n"
# No measured part lasts longer than this on a machine worth measuring.
RUN_SECONDS_MAX: Final = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadJob:
    """Unary calls: so many, over so many connections, so many at once on each."""

    address: str
    path: str
    connections: int
    streams: int
    requests: int
    warm_up: int
    # 1: puts; more: transactions of so many puts.
    puts_per_request: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchJob:
    """So many streams over so many connections, so many watchers on each, all of one key; and the puts to it."""

    address: str
    connections: int
    streams_per_connection: int
    watchers_per_stream: int
    puts: int
    warm_up: int

    @property
    def watchers(self) -> int:
        return self.connections * self.streams_per_connection * self.watchers_per_stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The measured part, as the client saw it."""

    seconds: float
    client_cpu_seconds: float


# ---- the parent's side


class Client:
    """A child that is ready."""

    def __init__(self, process: subprocess.Popen[bytes], log: tempfile._TemporaryFileWrapper[bytes]) -> None:
        self._process = process
        self._log = log
        self.greeting = self._read_line()[len(READY) :].strip()

    def run(self) -> Outcome:
        """Let it do the measured part."""
        assert self._process.stdin is not None
        self._process.stdin.write(GO)
        self._process.stdin.flush()
        return Outcome(**json.loads(self._read_line()))

    def _read_line(self) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None
        readable, _, _ = select.select([stdout], [], [], RUN_SECONDS_MAX)
        line = stdout.readline() if readable else b""
        if not line.endswith(b"\n"):
            self._log.seek(0)
            said = self._log.read().decode(errors="replace").strip()
            raise BenchError(f"the load client gave up: {said.splitlines()[-1] if said else 'too slow'}")
        return line


@contextmanager
def ready_client(module: str, job: LoadJob | WatchJob | None = None) -> Iterator[Client]:
    """Start `benchmarks.clients.<module>` and wait until it is ready."""
    command = [sys.executable, "-m", f"benchmarks.clients.{module}"]
    if job is not None:
        command.append(json.dumps(asdict(job)))
    with tempfile.NamedTemporaryFile() as log:
        process = start_process(command, log=log.file, piped=True, folder=REPOSITORY)
        try:
            yield Client(process, log)
        finally:
            end_process(process)


# ---- the child's side


def say_ready(greeting: str = "") -> None:
    """Tell the parent, and wait for its word; the end of stdin ends us."""
    print(READY.decode(), greeting, flush=True)
    if sys.stdin.readline() != GO.decode():
        raise SystemExit(0)


def say_outcome(outcome: Outcome) -> None:
    print(json.dumps(asdict(outcome)), flush=True)


class Stopwatch:
    """Wall and CPU time of this process from here on. The garbage collector rests meanwhile."""

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()
        self._cpu = _own_cpu_seconds()
        self._begin = time.monotonic()

    def outcome(self) -> Outcome:
        return Outcome(
            seconds=time.monotonic() - self._begin,
            client_cpu_seconds=_own_cpu_seconds() - self._cpu,
        )


def _own_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
