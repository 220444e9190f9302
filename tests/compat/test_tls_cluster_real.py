"""Clusters whose members speak TLS with each other: of ours alone, and with the real 3.5.1 among them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.certificates import Authority, Pair
from tests.ours import ours_binary
from tests.reference import clean_environment, free_port, reference_binary

SETTLE_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 20.0


class Member:
    def __init__(self, folder: Path, name: str, whose: str) -> None:
        self.name = name
        self.whose = whose
        self.folder = folder
        self.client_url = f"https://127.0.0.1:{free_port()}"
        self.peer_url = f"https://127.0.0.1:{free_port()}"
        self.log_path = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, initial_cluster: str, flags: Sequence[str]) -> None:
        binary = ours_binary("etcd") if self.whose == "ours" else reference_binary("etcd")
        command = [
            str(binary),
            f"--name={self.name}",
            f"--data-dir={self.folder / self.name}.etcd",
            f"--listen-client-urls={self.client_url}",
            f"--advertise-client-urls={self.client_url}",
            f"--listen-peer-urls={self.peer_url}",
            f"--initial-advertise-peer-urls={self.peer_url}",
            f"--initial-cluster={initial_cluster}",
            *flags,
        ]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=clean_environment())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(STOP_SECONDS_MAX)


class Cluster:
    def __init__(self, folder: Path, whose: Sequence[str], flags: Sequence[str], authority: Path | None) -> None:
        self.members = [Member(folder, f"m{at}", each) for at, each in enumerate(whose)]
        self._flags = flags
        self._trust = [f"--cacert={authority}"] if authority is not None else ["--insecure-skip-tls-verify"]
        self.initial = ",".join(f"{member.name}={member.peer_url}" for member in self.members)

    def __enter__(self) -> Cluster:
        for member in self.members:
            member.start(self.initial, self._flags)
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.stop()

    def ctl(self, member: Member, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(reference_binary("etcdctl")), f"--endpoints={member.client_url}", *self._trust]
        return subprocess.run(
            [*command, "--insecure-transport=false", *arguments],
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=60,
            check=False,
        )

    def wait_for(self, member: Member, printed: str, *arguments: str) -> None:
        """Wait until etcdctl prints just this."""
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while (done := self.ctl(member, *arguments)).stdout != printed:
            assert time.monotonic() < deadline, (done, member.log_path.read_text()[-3000:])


def exercise(cluster: Cluster) -> None:
    """Write through each member, read it from each; then without one of them; then with it again."""
    for number, member in enumerate(cluster.members):
        cluster.wait_for(member, "OK\n", "put", f"k{number}", member.name)
    for reader in cluster.members:
        for number, writer in enumerate(cluster.members):
            cluster.wait_for(reader, f"k{number}\n{writer.name}\n", "get", f"k{number}")
    gone, left = cluster.members[0], cluster.members[1]
    gone.stop()
    cluster.wait_for(left, "OK\n", "put", "without", "m0")
    gone.start(cluster.initial, cluster._flags)
    cluster.wait_for(gone, "without\nm0\n", "get", "without")


@pytest.mark.parametrize(
    "whose", [("ours", "ours", "ours"), ("ours", "real", "real"), ("real", "ours", "ours")], ids="-".join
)
def test_members_with_certificates(tmp_path: Path, whose: tuple[str, ...]) -> None:
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("member", common_name="allowed")
    flags = [
        *pair.flags(),
        *pair.flags("peer-"),
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={authority.cert}",
        "--peer-cert-allowed-cn=allowed",
        f"--peer-crl-file={authority.revoke(tmp_path / 'crl.pem', [])}",
    ]
    with Cluster(tmp_path, whose, flags, authority.cert) as cluster:
        exercise(cluster)


@pytest.mark.parametrize("whose", [("ours", "ours", "ours"), ("real", "ours", "real")], ids="-".join)
def test_members_with_certificates_of_their_own_making(tmp_path: Path, whose: tuple[str, ...]) -> None:
    with Cluster(tmp_path, whose, ["--auto-tls", "--peer-auto-tls"], None) as cluster:
        exercise(cluster)


def outsider(tmp_path: Path, authority: Authority, how: str) -> Pair:
    if how == "other authority":
        return Authority(tmp_path, "elsewhere").issue("outsider", common_name="allowed")
    if how == "other address":
        return authority.issue("outsider", common_name="allowed", hosts=("10.9.8.7",))
    return authority.issue("outsider", common_name="allowed" if how == "revoked" else "somebody")


@pytest.mark.parametrize("whose", ["ours", "real"])
@pytest.mark.parametrize("how", ["other authority", "other name", "other address", "revoked"])
def test_who_may_not_be_a_peer(tmp_path: Path, whose: str, how: str) -> None:
    """An outsider's requests to the peer port get no answer, those of a member do."""
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("member", common_name="allowed")
    bad = outsider(tmp_path, authority, how)
    revoked = [bad] if how == "revoked" else []
    flags = [
        *pair.flags(),
        *pair.flags("peer-"),
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={authority.cert}",
        "--peer-cert-allowed-cn=allowed",
        f"--peer-crl-file={authority.revoke(tmp_path / 'crl.pem', revoked)}",
    ]
    with Cluster(tmp_path, [whose], flags, authority.cert) as cluster:
        cluster.wait_for(cluster.members[0], "OK\n", "put", "a", "b")

        assert ask_members(cluster.members[0], authority, pair) == 0
        assert ask_members(cluster.members[0], authority, bad) != 0


def ask_members(member: Member, authority: Authority, pair: Pair) -> int:
    """Return curl's exit code for /members at the peer port."""
    command = [
        "curl",
        "-s",
        "-f",
        "--http1.1",
        "--cacert",
        str(authority.cert),
        "--cert",
        str(pair.cert),
        "--key",
        str(pair.key),
    ]
    done = subprocess.run([*command, f"{member.peer_url}/members"], capture_output=True, timeout=60, check=False)
    return done.returncode
