"""`python -m benchmarks` as a process: it measures, it prints every row, it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.member import REPOSITORY

SECONDS_MAX = 120.0

pytestmark = pytest.mark.slow


def command(tmp_path: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks", f"--dir={tmp_path}", *arguments]


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(tmp_path, *arguments), cwd=REPOSITORY, capture_output=True, text=True, timeout=SECONDS_MAX
    )


def processes_below(folder: Path) -> list[str]:
    """Return the command lines that name the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found


def test_a_quick_run_measures_both_and_prints_every_row(tmp_path: Path) -> None:
    """By h2load, by our own client, with tokens, over TLS, a cluster, watchers: all that can go wrong here."""
    only = "range-serializable,distinct-1x1,auth-jwt,tls-range,cluster-put-100x1,watch-100-streams"
    done = run(tmp_path, "--quick", f"--only={only}")

    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout.partition("\n\n")[2].splitlines()
    titles = [line.split("  ")[0] for line in table[1:8]]
    assert titles == [
        "put 256 B, distinct keys, 1x1",
        "range of one key, serializable, 100x10",
        "put 256 B, JSON Web Token, 100x10",
        "put 256 B, JSON Web Token, 100x10: of those without",
        "range of one key over TLS, serializable, 100x10",
        "three members, put 256 B, one key, 100x1",
        "one put to 100 streams x 10 watchers",
    ]
    for line in table[1:8]:
        assert "FAILED" not in line
        assert line.replace(" share ", "/s ").split("/s ", 1)[1].split()[0].replace(".", "").isdigit(), (
            f"no ratio in {line!r}"
        )
    assert "our load client, 1x1, against an empty server:" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_terminated_run_ends_what_it_started(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path, "--only=put-100x10"), cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        deadline = time.monotonic() + SECONDS_MAX
        while not any("--data-dir" in line for line in processes_below(tmp_path)):
            assert process.poll() is None and time.monotonic() < deadline, "no member was started"
            os.sched_yield()
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=SECONDS_MAX)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 130, printed
    assert processes_below(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_refused_with_those_there_are(tmp_path: Path) -> None:
    done = run(tmp_path, "--only=putt")

    assert done.returncode == 2
    assert "no scenario 'putt'; there are: put-1x1, " in done.stderr


def test_pieces_are_not_written_to_the_document(tmp_path: Path) -> None:
    before = (REPOSITORY / "docs/benchmarks.md").read_bytes()

    done = run(tmp_path, "--write", "--only=put")

    assert done.returncode == 2
    assert "--write wants all rows" in done.stderr
    assert (REPOSITORY / "docs/benchmarks.md").read_bytes() == before
