"""The `etcd` command as a process: start, readiness, signals, exit codes."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.reference import clean_environment, free_port

READY = "ready to serve client requests"
SECONDS_MAX = 60.0

pytestmark = pytest.mark.slow


class Member:
    """One process, its log read line by line."""

    def __init__(self, process: subprocess.Popen[bytes], client_port: int, peer_port: int) -> None:
        self.process = process
        self.client_port = client_port
        self.peer_port = peer_port
        self.entries: list[dict[str, Any]] = []

    def wait_logged(self, message: str) -> dict[str, Any]:
        """Read the log up to a message. Fail when it ends without; the watchdog of `member` ends it in time."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            entry: dict[str, Any] = json.loads(line)
            self.entries.append(entry)
            if entry["msg"] == message:
                return entry
        raise AssertionError(f"the log ended without {message!r}: {self.messages()}")

    def wait_ended(self) -> int:
        """Read the rest of the log; return the code, negative for a signal."""
        _, rest = self.process.communicate(timeout=SECONDS_MAX)
        self.entries += [json.loads(line) for line in rest.splitlines()]
        return self.process.returncode

    def messages(self) -> list[str]:
        return [entry["msg"] for entry in self.entries]


@contextmanager
def member(tmp_path: Path, *flags: str, variables: dict[str, str] | None = None) -> Iterator[Member]:
    client, peer = free_port(), free_port()
    command = [
        sys.executable,
        "-m",
        "etcdpy",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        *flags,
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=clean_environment(variables), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    watchdog = threading.Timer(SECONDS_MAX, process.kill)
    watchdog.start()
    try:
        yield Member(process, client, peer)
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupt")])
def test_a_signal_stops_the_member_cleanly_and_then_ends_the_process(
    number: signal.Signals, name: str, tmp_path: Path
) -> None:
    with member(tmp_path) as running:
        running.wait_logged("successfully notified init daemon")
        running.process.send_signal(number)

        assert running.wait_ended() == -number
    (received,) = [entry for entry in running.entries if entry["msg"] == "received signal; shutting down"]
    assert received["signal"] == name
    assert running.messages()[-1] == "closed etcd server"
    assert {entry["level"] for entry in running.entries} <= {"info", "warn"}


def test_a_second_signal_does_not_cut_the_stop_short(tmp_path: Path) -> None:
    with member(tmp_path) as running:
        running.wait_logged("successfully notified init daemon")
        running.process.send_signal(signal.SIGINT)
        running.process.send_signal(signal.SIGTERM)

        assert running.wait_ended() in (-signal.SIGINT, -signal.SIGTERM)
    assert running.messages()[-1] == "closed etcd server"


def test_systemd_is_told(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(address))
        receiver.settimeout(SECONDS_MAX)
        with member(tmp_path, variables={"NOTIFY_SOCKET": str(address)}) as running:
            assert receiver.recv(100) == b"READY=1"
            running.wait_logged(READY)


def test_what_is_stored_is_the_owners_alone(tmp_path: Path) -> None:
    with member(tmp_path) as running:
        running.wait_logged(READY)
        data = tmp_path / "default.etcd"
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [data, *data.rglob("*")]}

    assert modes[data / "member"] == 0o700
    assert [path for path, mode in modes.items() if mode & 0o077] == []


def test_a_port_in_use_fails_the_start(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        with member(tmp_path, f"--listen-client-urls={url}", f"--advertise-client-urls={url}") as running:
            assert running.wait_ended() == 1

    assert running.messages()[-2:] == ["failed to start etcd", "discovery failed"]
    assert "in use" in running.entries[-1]["error"]


def test_a_second_start_finds_the_member(tmp_path: Path) -> None:
    """The initial-* flags no longer matter then, not even those that would be refused at first."""
    with member(tmp_path) as running:
        running.wait_logged("successfully notified init daemon")
        running.process.terminate()
        running.wait_ended()
    flags = ("--initial-cluster=a=http://127.0.0.1:1,b=http://127.0.0.1:2", "--initial-cluster-state=existing")
    with member(tmp_path, *flags) as running:
        running.wait_logged("server has been already initialized")
        running.wait_logged(READY)


def test_a_data_directory_open_to_others_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "default.etcd").mkdir(mode=0o755)
    with member(tmp_path) as running:
        entry = running.wait_logged("check file permission")

    assert '"drwxr-xr-x"' in entry["error"]


def run_to_the_end(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


def test_without_its_checks_the_program_does_not_run(tmp_path: Path) -> None:
    done = run_to_the_end(tmp_path, "-O", "-m", "etcdpy", "--version")

    assert done.returncode == 1
    assert "without -O" in done.stderr


@pytest.mark.parametrize("name", ["gateway", "grpc-proxy"])
def test_proxies_come_later(name: str, tmp_path: Path) -> None:
    done = run_to_the_end(tmp_path, "-m", "etcdpy", name, "start")

    assert (done.returncode, done.stdout) == (1, "")
    assert f"etcd {name} is not supported yet" in done.stderr


def test_a_refused_start_touches_nothing(tmp_path: Path) -> None:
    done = run_to_the_end(tmp_path, "-m", "etcdpy", "--enable-v2")

    assert done.returncode == 1
    assert "--enable-v2 is not supported yet" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_file_says_where_the_log_goes(tmp_path: Path) -> None:
    (tmp_path / "etcd.yml").write_text("log-outputs: [etcd.log]\nlog-level: debug\ninitial-cluster: garbage\n")

    done = run_to_the_end(tmp_path, "-m", "etcdpy", "--config-file", "etcd.yml")

    messages = [json.loads(line)["msg"] for line in (tmp_path / "etcd.log").read_text().splitlines()]
    assert (done.returncode, done.stderr) == (1, "")
    assert messages[0].startswith("loaded server configuration")
    assert messages[-1] == "discovery failed"
