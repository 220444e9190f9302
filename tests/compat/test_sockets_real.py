"""Sockets of the file system instead of ports: `unix` and `unixs` URLs, for clients, peers and metrics; ours and 3.5.1.

3.5.1 takes only names of the form `host:port`, which become files in the working directory; ours takes paths, too, as
later releases do. Its peers speak without TLS where a URL says `unixs`, so only ours are tried there.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.ours import ours_binary
from tests.reference import clean_environment, reference_binary

READY_SECONDS_MAX = 30.0
IO_SECONDS_MAX = 20.0
WHOSE = ("ours", "real")


def binary(whose: str, name: str) -> str:
    return str(ours_binary(name) if whose == "ours" else reference_binary(name))


class SocketEtcd:
    """One etcd with sockets in `folder`; the names of its sockets begin with its own name."""

    def __init__(self, folder: Path, whose: str, name: str, *, scheme: str = "unix", cluster: str = "") -> None:
        self.folder = folder
        self.log_path = folder / f"{name}.log"
        self.client_url, self.peer_url = f"{scheme}://{name}:1", f"{scheme}://{name}:2"
        self.command = [
            binary(whose, "etcd"),
            f"--name={name}",
            f"--data-dir={name}.etcd",
            f"--listen-client-urls={self.client_url}",
            f"--advertise-client-urls={self.client_url}",
            f"--listen-peer-urls={self.peer_url}",
            f"--initial-advertise-peer-urls={self.peer_url}",
            f"--initial-cluster={cluster or f'{name}={self.peer_url}'}",
            f"--listen-metrics-urls=unix://{name}:3",
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *flags: str) -> None:
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*self.command, *flags], stdout=log, stderr=log, env=clean_environment(), cwd=self.folder
            )

    def wait_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + READY_SECONDS_MAX
        while b"serving client traffic" not in self.log_path.read_bytes():
            assert self.process.poll() is None, self.log_path.read_text()
            assert time.monotonic() < deadline, self.log_path.read_text()
            try:
                self.process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(IO_SECONDS_MAX)

    def __enter__(self) -> SocketEtcd:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def ctl(folder: Path, whose: str, *arguments: str) -> str:
    done = subprocess.run(
        [binary(whose, "etcdctl"), *arguments],
        capture_output=True,
        text=True,
        env=clean_environment({"ETCDCTL_API": "3"} if whose == "real" else {}),
        timeout=IO_SECONDS_MAX,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def get(path: Path, what: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("localhost", timeout=IO_SECONDS_MAX)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.sock.connect(str(path))
        connection.request("GET", what)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def leave_stale_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as abandoned:
        abandoned.bind(str(path))


@pytest.mark.parametrize("whose", WHOSE)
def test_clients_peers_and_metrics_by_sockets(tmp_path: Path, whose: str) -> None:
    for number in (1, 2, 3):
        leave_stale_socket(tmp_path / f"solo:{number}")
    with SocketEtcd(tmp_path, whose, "solo") as etcd:
        etcd.start()
        etcd.wait_ready()
        for client in WHOSE:
            for endpoint in ("unix://solo:1", "unix:solo:1", f"unix://{tmp_path}/solo:1", f"unix:{tmp_path}/solo:1"):
                assert ctl(tmp_path, client, f"--endpoints={endpoint}", "put", "a", endpoint) == "OK\n"
                assert ctl(tmp_path, client, f"--endpoints={endpoint}", "get", "a") == f"a\n{endpoint}\n"
        assert "started, solo, unix://solo:2, unix://solo:1, false" in ctl(
            tmp_path, "real", "--endpoints=unix://solo:1", "member", "list"
        )
        assert get(tmp_path / "solo:1", "/version")[0] == 200
        assert b'"health":"true"' in get(tmp_path / "solo:3", "/health")[1]
        assert b'"peerURLs":["unix://solo:2"]' in get(tmp_path / "solo:2", "/members")[1]
    if whose == "ours":
        assert not list(tmp_path.glob("solo:*"))


@pytest.mark.parametrize("second", WHOSE)
def test_members_reach_each_other_by_sockets(tmp_path: Path, second: str) -> None:
    cluster = "m0=unix://m0:2,m1=unix://m1:2"
    members = [
        SocketEtcd(tmp_path, "ours", "m0", cluster=cluster),
        SocketEtcd(tmp_path, second, "m1", cluster=cluster),
    ]
    with members[0], members[1]:
        for member in members:
            member.start()
        for member in members:
            member.wait_ready()
        for client, source, target in (("real", "m0", "m1"), ("ours", "m1", "m0")):
            assert ctl(tmp_path, client, f"--endpoints=unix://{source}:1", "put", source, "x") == "OK\n"
            assert ctl(tmp_path, client, f"--endpoints=unix://{target}:1", "get", source) == f"{source}\nx\n"


@pytest.mark.parametrize("whose", WHOSE)
def test_tls_over_a_socket(tmp_path: Path, whose: str) -> None:
    """The certificate bears the file's name, up to a colon."""
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("server", hosts=("solo",))
    with SocketEtcd(tmp_path, whose, "solo", scheme="unixs") as etcd:
        etcd.start(*pair.flags(), *pair.flags("peer-"))
        etcd.wait_ready()
        for client in WHOSE:
            for endpoint in ("unixs://solo:1", f"unixs://{tmp_path}/solo:1"):
                options = (f"--endpoints={endpoint}", f"--cacert={authority.cert}")
                assert ctl(tmp_path, client, *options, "put", "a", client) == "OK\n"
                assert ctl(tmp_path, client, *options, "get", "a") == f"a\n{client}\n"


def test_members_with_tls_over_sockets(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    cluster = "m0=unixs://m0:2,m1=unixs://m1:2"
    members = [SocketEtcd(tmp_path, "ours", name, scheme="unixs", cluster=cluster) for name in ("m0", "m1")]
    with members[0], members[1]:
        for name, member in zip(("m0", "m1"), members, strict=True):
            pair = authority.issue(name, hosts=(name,))
            trust = (f"--peer-trusted-ca-file={authority.cert}", "--peer-client-cert-auth")
            member.start(*pair.flags(), *pair.flags("peer-"), *trust)
        for member in members:
            member.wait_ready()
        options = (f"--cacert={authority.cert}", "--endpoints=unixs://m0:1,unixs://m1:1")
        assert ctl(tmp_path, "ours", *options, "put", "a", "b") == "OK\n"
        assert ctl(tmp_path, "real", *options, "get", "a") == "a\nb\n"


def test_paths_of_any_kind_are_listened_on(tmp_path: Path) -> None:
    """As of 3.5.10 or so: 3.5.1 wants `host:port` here, too."""
    with SocketEtcd(tmp_path, "ours", "solo") as etcd:
        path = tmp_path / "etcd.sock"
        etcd.start(f"--listen-client-urls=unix://{path}", f"--advertise-client-urls=unix://{path}")
        etcd.wait_ready()
        for client in WHOSE:
            assert ctl(tmp_path, client, f"--endpoints=unix://{path}", "put", "a", "b") == "OK\n"


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    """The real one would remove it."""
    (tmp_path / "solo:1").write_text("years of work")
    with SocketEtcd(tmp_path, "ours", "solo") as etcd:
        etcd.start()
        assert etcd.process is not None and etcd.process.wait(READY_SECONDS_MAX) == 1
    assert "listen unix solo:1: bind: address already in use" in etcd.log_path.read_text()
    assert (tmp_path / "solo:1").read_text() == "years of work"


@pytest.mark.parametrize("whose", WHOSE)
def test_tls_needs_a_certificate_on_sockets_too(tmp_path: Path, whose: str) -> None:
    with SocketEtcd(tmp_path, whose, "solo", scheme="unixs") as etcd:
        etcd.start("--listen-peer-urls=unix://solo:2")
        assert etcd.process is not None and etcd.process.wait(READY_SECONDS_MAX) == 1
    text = "TLS key/cert (--cert-file, --key-file) must be provided for client url unixs://solo:1 with HTTPS scheme"
    assert text in etcd.log_path.read_text()
