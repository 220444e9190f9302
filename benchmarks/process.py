"""Processes as /proc shows them: CPU spent, memory held. Linux only, like the benchmark.

Rules
  * A process started here lives in a session of its own: Ctrl-C reaches the benchmark alone, which then ends exactly
    what it started, by pid.
  * An interrupt waits while a process is being started: afterwards the process stands in `_started`, and `end_all` ends
    it even if its starter was interrupted before he could keep it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

INTERRUPTS: Final = frozenset((signal.SIGINT, signal.SIGTERM))
TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
# A store of a million keys is closed in a second or two; then it is killed.
STOP_SECONDS_MAX: Final = 60.0

_started: Final[list[subprocess.Popen[bytes]]] = []  # Invariant: every process that was started and not yet ended.


class BenchError(Exception):
    """A measurement could not be made, or measured something else than it says. The row shows the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What /proc/<pid>/status says, in MiB."""

    resident_mib: float
    # Without mapped files: both stores are mapped, and their pages count as resident until someone else needs them.
    anonymous_mib: float


def memory_of(pid: int) -> Memory:
    """Return VmRSS and RssAnon."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    resident, anonymous = (int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))
    return Memory(resident_mib=resident, anonymous_mib=anonymous)


def cpu_seconds_of(pid: int) -> float:
    """Return user and system time of all threads."""
    # The command's name stands in parentheses and may hold spaces: fields are counted from behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def clean_environment() -> dict[str, str]:
    """PATH only: no ETCD_* of the caller reaches a contender."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}


def start_process(
    command: Sequence[str], *, log: IO[bytes], piped: bool = False, folder: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; with `piped` its stdin and stdout are ours."""
    pipe = subprocess.PIPE if piped else None
    signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        process = subprocess.Popen(
            command,
            stdin=pipe or subprocess.DEVNULL,
            stdout=pipe or log,
            stderr=log,
            cwd=folder,
            env=clean_environment(),
            start_new_session=True,
            preexec_fn=take_interrupts,
        )
        _started.append(process)
    finally:
        take_interrupts()
    return process


def take_interrupts() -> None:
    """Let through what was held up; a child begins with its starter's mask and calls this before its program starts."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, wait, and kill it if it does not; harmless when it is over."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS_MAX)
    except BaseException:
        # Too slow, or a second Ctrl-C: it must not outlive us.
        process.kill()
        process.wait()
        raise
    finally:
        if process in _started and process.returncode is not None:
            _started.remove(process)


def end_all() -> None:
    """End what an interrupt has left running."""
    while _started:
        end_process(_started[-1])
