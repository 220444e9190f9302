"""The flags of the log, by real processes: what 3.5.1 writes where, ours writes there, too."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.ours import ours_binary
from tests.reference import clean_environment, free_port, reference_binary

SECONDS_MAX = 30.0
WHOSE = ("ours", "real")
# The last line of a start, as both have it.
READY = b"serving client traffic insecurely"
MEGABYTE = 1024 * 1024


class Run:
    """One start and stop; what came out of it."""

    def __init__(
        self, folder: Path, whose: str, flags: Sequence[str], *, ready_in: str = "", zone: str = "UTC"
    ) -> None:
        peer, client = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        self.stdout, self.stderr = folder / f"{whose}.stdout", folder / f"{whose}.stderr"
        command = [
            str(ours_binary("etcd") if whose == "ours" else reference_binary("etcd")),
            f"--data-dir={folder}/{whose}.etcd",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            *flags,
        ]
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=err, env=clean_environment({"TZ": zone}), cwd=folder
            )
        places = [self.stdout, self.stderr, *([folder / ready_in] if ready_in else [])]
        for _ in range(int(SECONDS_MAX / 0.05)):
            seen = [path.read_bytes() for path in places if path.exists()]
            if self.process.poll() is not None or any(READY in each for each in seen):
                break
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS_MAX)


def levels(content: bytes) -> set[str]:
    return {json.loads(line)["level"] for line in content.splitlines() if line.startswith(b"{")}


@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize(
    ("outputs", "places"),
    [
        ("default", {"stderr"}),
        ("stderr", {"stderr"}),
        ("stdout", {"stdout"}),
        ("stdout,stderr", {"stdout", "stderr"}),
        ("a.log", {"a.log"}),
        ("a.log,b.log,stdout", {"a.log", "b.log", "stdout"}),
    ],
)
def test_where_the_log_goes(tmp_path: Path, whose: str, outputs: str, places: set[str]) -> None:
    run = Run(tmp_path, whose, [f"--log-outputs={outputs}"], ready_in="a.log")
    run.stop()
    files = {"stdout": run.stdout, "stderr": run.stderr, "a.log": tmp_path / "a.log", "b.log": tmp_path / "b.log"}
    written = {name: path.read_bytes() for name, path in files.items() if path.exists()}
    assert {name for name, content in written.items() if READY in content} == places
    assert {name for name, content in written.items() if b'"msg":"Running: "' in content} == places


@pytest.mark.parametrize("whose", WHOSE)
def test_a_file_of_before_is_appended_to(tmp_path: Path, whose: str) -> None:
    (tmp_path / "a.log").write_text("of yesterday\n")
    Run(tmp_path, whose, ["--log-outputs=a.log"], ready_in="a.log").stop()
    assert (tmp_path / "a.log").read_bytes().startswith(b"of yesterday\n{")


@pytest.mark.parametrize("whose", WHOSE)
def test_what_is_worth_a_line(tmp_path: Path, whose: str) -> None:
    assert "info" in levels(read_with_level(tmp_path, whose, "info")) - {"debug"}
    assert levels(read_with_level(tmp_path, whose, "warn")) <= {"warn", "error", "fatal"}
    assert levels(read_with_level(tmp_path, whose, "panic")) <= {"panic", "fatal"}


def read_with_level(folder: Path, whose: str, level: str) -> bytes:
    run = Run(folder, whose, [f"--log-level={level}", "--name=x", "--initial-cluster=x=http://127.0.0.1:1"])
    assert run.process.wait(SECONDS_MAX) == 1, "refused: the cluster says another URL"
    return run.stderr.read_bytes()


BACKUP = re.compile(r"etcd-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log")


@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize("compress", [False, True])
def test_rotation(tmp_path: Path, whose: str, compress: bool) -> None:
    """The file of before is full: the first line puts it aside. Of old ones two stay; what is no old one stays, too."""
    (tmp_path / "etcd.log").write_bytes(b"x" * (MEGABYTE - 1) + b"\n")
    for name in ("etcd-2020-01-02T03-04-05.000.log", "etcd-2020-01-02T03-04-05.100.log", "etcd-audit.log"):
        (tmp_path / name).write_text(name)
    rotation = {"maxsize": 1, "maxbackups": 2, "compress": compress}
    flags = ["--log-outputs=etcd.log", "--enable-log-rotation", f"--log-rotation-config-json={json.dumps(rotation)}"]
    run = Run(tmp_path, whose, flags, ready_in="etcd.log")
    wait_until(lambda: "etcd-2020-01-02T03-04-05.000.log" not in os.listdir(tmp_path))
    wait_until(lambda: compress == any(name.endswith(".100.log.gz") for name in os.listdir(tmp_path)))
    wait_until(lambda: not compress or not any(name.endswith(".100.log") for name in os.listdir(tmp_path)))
    run.stop()

    logs = {path.name for path in tmp_path.glob("etcd*log*")}
    ending = ".gz" if compress else ""
    assert logs >= {"etcd.log", "etcd-audit.log", f"etcd-2020-01-02T03-04-05.100.log{ending}"}
    (aside,) = [name for name in logs if BACKUP.match(name) and "-2020-" not in name]
    assert aside.endswith(ending or ".log") and len(logs) == 4
    content = (tmp_path / aside).read_bytes()
    assert (gzip.decompress(content) if compress else content) == b"x" * (MEGABYTE - 1) + b"\n"
    assert READY in (tmp_path / "etcd.log").read_bytes()


@pytest.mark.parametrize("whose", WHOSE)
def test_old_files_go_by_the_age_in_their_names(tmp_path: Path, whose: str) -> None:
    for moment in ("2020-01-02T03-04-05", "2999-01-02T03-04-05", "2020-13-02T03-04-05"):
        (tmp_path / f"etcd-{moment}.000.log").write_text(moment)
    flags = ["--log-outputs=etcd.log", "--enable-log-rotation", '--log-rotation-config-json={"maxage": 1}']
    run = Run(tmp_path, whose, flags, ready_in="etcd.log")
    wait_until(lambda: "etcd-2020-01-02T03-04-05.000.log" not in os.listdir(tmp_path))
    run.stop()
    left = {path.name for path in tmp_path.glob("etcd-*")}
    assert left == {"etcd-2999-01-02T03-04-05.000.log", "etcd-2020-13-02T03-04-05.000.log"}


@pytest.mark.parametrize("whose", WHOSE)
def test_local_time_in_names(tmp_path: Path, whose: str) -> None:
    """Half a day lies between the two: their names never agree."""
    hours = {}
    for is_local in (False, True):
        folder = tmp_path / str(is_local)
        folder.mkdir()
        (folder / "etcd.log").write_bytes(b"x" * (MEGABYTE - 1) + b"\n")
        rotation = json.dumps({"maxsize": 1, "localtime": is_local})
        flags = ["--log-outputs=etcd.log", "--enable-log-rotation", f"--log-rotation-config-json={rotation}"]
        Run(folder, whose, flags, ready_in="etcd.log", zone="Etc/GMT-12").stop()
        (aside,) = [path.name for path in folder.glob("etcd-2*")]
        hours[is_local] = int(aside[16:18])
    assert (hours[True] - hours[False]) % 24 in (11, 12, 13)


@pytest.mark.parametrize("whose", WHOSE)
def test_a_hangup_ends_it(tmp_path: Path, whose: str) -> None:
    """As any program that does not know the signal."""
    assert Run(tmp_path, whose, []).stop(signal.SIGHUP) == -signal.SIGHUP


@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_a_file_of_settings(tmp_path: Path, whose: str, kind: str) -> None:
    """The file is the whole configuration, in YAML or in JSON; keys that nobody knows pass."""
    peer, client = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    settings: dict[str, object] = {
        "name": "filed",
        "data-dir": str(tmp_path / "of-the-file"),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"filed={peer}",
        "log-outputs": ["stdout", "of-the-file.log"],
        "backend-batch-interval": 50_000_000,
        "nobody-knows": {"this": ["key"]},
    }
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in settings.items()]
    text = json.dumps(settings) if kind == "json" else "".join(lines)
    path = tmp_path / f"etcd.conf.{kind}"
    path.write_text(text)
    run = Run(tmp_path, whose, [f"--config-file={path}", "--name=ignored"])
    run.stop()
    assert READY in run.stdout.read_bytes() and READY in (tmp_path / "of-the-file.log").read_bytes()
    assert b'"name":"filed"' in run.stdout.read_bytes()
    assert (tmp_path / "of-the-file" / "member").is_dir() and not (tmp_path / f"{whose}.etcd").exists()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline


def test_lines_for_the_eye(tmp_path: Path) -> None:
    """A flag of 3.6: time, level, where, what and the fields, with tabs between."""
    run = Run(tmp_path, "ours", ["--log-format=console", "--log-outputs=stdout"])
    run.stop()
    lines = [line.split("\t") for line in run.stdout.read_text().splitlines()]
    (running,) = [line for line in lines if "Running: " in line]
    assert running[1:2] + running[3:4] == ["info", "Running: "] and "start.py:" in running[2]
    assert "--log-format=console" in json.loads(running[4])["args"]
    assert any(line[2] == "raft" for line in lines), "who says it, where that is a part with a name"


def test_the_journal_is_not_for_the_eye(tmp_path: Path) -> None:
    run = Run(tmp_path, "ours", ["--log-format=console", "--log-outputs=systemd/journal"])
    assert run.process.wait(SECONDS_MAX) == 1
    assert "--log-format=console is not for systemd/journal" in run.stderr.read_text()
