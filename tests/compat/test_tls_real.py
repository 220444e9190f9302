"""TLS as the real 3.5.1 does it: one table of handshakes, judged by both; programs of each against the other's server.

3.5.1 speaks nothing newer than TLS 1.2; later releases of 3.5 do, and so do we.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority, Pair
from tests.ours import ours_binary
from tests.reference import clean_environment, free_port, reference_binary

READY_SECONDS_MAX = 30.0
IO_SECONDS_MAX = 20.0
HTTP_REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
SERVERS = ("ours", "real")


class SecureEtcd:
    """One etcd that serves clients by https; ready when it says so in its log."""

    def __init__(self, folder: Path, whose: str, flags: list[str]) -> None:
        binary = ours_binary("etcd") if whose == "ours" else reference_binary("etcd")
        self.port, self.second_port, peer_port = free_port(), free_port(), free_port()
        peer_url = f"http://127.0.0.1:{peer_port}"
        client_url = f"https://127.0.0.1:{self.port}"
        self.whose = whose
        self.log_path = folder / f"{whose}.log"
        command = [
            str(binary),
            f"--data-dir={folder / whose}.etcd",
            f"--listen-client-urls={client_url}",
            f"--advertise-client-urls={client_url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            *(flag.replace("FIRST", str(self.port)).replace("SECOND", str(self.second_port)) for flag in flags),
        ]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=clean_environment())
        deadline = time.monotonic() + READY_SECONDS_MAX
        while b"serving client traffic" not in self.log_path.read_bytes():
            assert self.process.poll() is None, self.log_path.read_text()
            assert time.monotonic() < deadline, self.log_path.read_text()
            _pause(self.process)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(IO_SECONDS_MAX)

    def __enter__(self) -> SecureEtcd:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _pause(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(0.05)
    except subprocess.TimeoutExpired:
        return


def is_served(
    port: int,
    *,
    authority: Path,
    pair: Pair | None = None,
    host: str = "localhost",
    version: ssl.TLSVersion | None = None,
    ciphers: str = "",
) -> bool:
    """Return whether a client with this certificate gets an answer to /health."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    context.set_ciphers(ciphers or "ALL:@SECLEVEL=0")
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if pair is not None:
        context.load_cert_chain(pair.cert, pair.key)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=IO_SECONDS_MAX) as raw,
            context.wrap_socket(raw, server_hostname=host) as tls,
        ):
            tls.sendall(HTTP_REQUEST)
            return tls.recv(4096).startswith(b"HTTP/1.1 200")
    except (ssl.SSLError, ConnectionError):
        return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder, "ca")


@pytest.fixture(scope="module")
def server_pair(authority: Authority) -> Pair:
    return authority.issue("server")


@pytest.fixture(scope="module")
def crl(folder: Path, authority: Authority) -> Path:
    return authority.revoke(folder / "crl.pem", [])


@pytest.fixture(scope="module", params=SERVERS)
def strict(
    request: pytest.FixtureRequest, folder: Path, authority: Authority, server_pair: Pair, crl: Path
) -> Iterator[SecureEtcd]:
    """A server that asks for certificates."""
    flags = [
        *server_pair.flags(),
        "--client-cert-auth",
        f"--trusted-ca-file={authority.cert}",
        f"--client-crl-file={crl}",
    ]
    with SecureEtcd(folder, request.param, flags) as etcd:
        yield etcd


@pytest.fixture(scope="module")
def other_authority(folder: Path) -> Authority:
    return Authority(folder, "other")


CASES = {
    # name: (how the client's certificate is made, whether it is let in)
    "good": ({}, True),
    "no names": ({"hosts": ()}, True),
    "no common name": ({"common_name": ""}, True),
    "names of elsewhere": ({"hosts": ("elsewhere.example", "10.9.8.7")}, True),
    "expired": ({"days": (-20, -1)}, False),
    "not yet valid": ({"days": (1, 20)}, False),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_certificates_of_our_authority(
    strict: SecureEtcd, authority: Authority, case: str, version: ssl.TLSVersion
) -> None:
    made, is_let_in = CASES[case]
    pair = authority.issue("client-" + case.replace(" ", "-"), **made)  # type: ignore[arg-type]

    is_spoken = strict.whose == "ours" or version == ssl.TLSVersion.TLSv1_2
    served = is_served(strict.port, authority=authority.cert, pair=pair, version=version)
    assert served is (is_let_in and is_spoken)


def test_strangers(strict: SecureEtcd, authority: Authority, other_authority: Authority) -> None:
    stranger = other_authority.issue("stranger")

    assert not is_served(strict.port, authority=authority.cert)
    assert not is_served(strict.port, authority=authority.cert, pair=stranger)


@pytest.mark.parametrize(("case", "is_let_in"), [("TLSv1", False), ("TLSv1_1", False), ("TLSv1_2", True)])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_versions(strict: SecureEtcd, authority: Authority, case: str, is_let_in: bool) -> None:
    version = ssl.TLSVersion[case]

    pair = authority.issue("client-of-old")

    assert is_served(strict.port, authority=authority.cert, pair=pair, version=version) is is_let_in


@pytest.mark.parametrize(
    ("ciphers", "is_let_in"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
        ("ECDHE-ECDSA-AES256-SHA", True),
        ("ECDHE-ECDSA-AES128-SHA256", False),
        ("ECDHE-ECDSA-AES256-CCM", False),
        ("ECDHE-RSA-AES128-GCM-SHA256", False),
    ],
)
def test_cipher_suites(strict: SecureEtcd, authority: Authority, ciphers: str, is_let_in: bool) -> None:
    pair = authority.issue("client-of-ciphers")
    version = ssl.TLSVersion.TLSv1_2

    served = is_served(strict.port, authority=authority.cert, pair=pair, version=version, ciphers=ciphers)

    assert served is is_let_in


def test_revoked_while_it_runs(strict: SecureEtcd, authority: Authority, crl: Path) -> None:
    pair, other = authority.issue("client-revoked"), authority.issue("client-kept")
    assert is_served(strict.port, authority=authority.cert, pair=pair)

    authority.revoke(crl, [pair])
    try:
        assert not is_served(strict.port, authority=authority.cert, pair=pair)
        assert is_served(strict.port, authority=authority.cert, pair=other)
        crl.unlink()
        assert not is_served(strict.port, authority=authority.cert, pair=other)
    finally:
        authority.revoke(crl, [])
    assert is_served(strict.port, authority=authority.cert, pair=pair)


@pytest.mark.parametrize("whose", SERVERS)
def test_certificate_changed_while_it_runs(tmp_path: Path, whose: str) -> None:
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    pair = first.issue("server")
    with SecureEtcd(tmp_path, whose, pair.flags()) as etcd:
        assert is_served(etcd.port, authority=first.cert)

        second.issue("next").move_to(pair)

        assert is_served(etcd.port, authority=second.cert)
        assert not is_served(etcd.port, authority=first.cert)


def test_an_authority_changed_while_it_runs(tmp_path: Path) -> None:
    """etcd keeps the one that it started with."""
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    server, old, new = first.issue("server"), first.issue("old"), second.issue("new")
    trusted = tmp_path / "trusted.crt"
    trusted.write_bytes(first.cert.read_bytes())
    with SecureEtcd(tmp_path, "ours", [*server.flags(), f"--trusted-ca-file={trusted}"]) as etcd:
        assert is_served(etcd.port, authority=first.cert, pair=old)

        trusted.write_bytes(second.cert.read_bytes())

        assert is_served(etcd.port, authority=first.cert, pair=new)
        assert not is_served(etcd.port, authority=first.cert, pair=old)


@pytest.mark.parametrize("whose", SERVERS)
def test_named_suites_and_host_name(tmp_path: Path, whose: str) -> None:
    authority = Authority(tmp_path, "ca")
    good, bad = authority.issue("good", hosts=("let.in", "10.0.0.1")), authority.issue("bad", hosts=("out",))
    flags = [
        *authority.issue("server").flags(),
        f"--trusted-ca-file={authority.cert}",
        "--client-cert-allowed-hostname=let.in",
        "--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    ]
    # The real one's own gateway would have to be let in, too: its certificate bears no such name.
    with SecureEtcd(tmp_path, whose, flags) as etcd:
        version = ssl.TLSVersion.TLSv1_2
        served = {
            ciphers: is_served(etcd.port, authority=authority.cert, pair=good, version=version, ciphers=ciphers)
            for ciphers in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA")
        }

        assert list(served.values()) == [True, True, False]
        assert not is_served(etcd.port, authority=authority.cert, pair=bad)


@pytest.mark.parametrize("whose", SERVERS)
def test_metrics_with_tls_look_at_addresses(tmp_path: Path, whose: str) -> None:
    authority = Authority(tmp_path, "ca")
    here, elsewhere = authority.issue("here"), authority.issue("elsewhere", hosts=("10.9.8.7",))
    named, nowhere = authority.issue("named", hosts=("localhost",)), authority.issue("nowhere", hosts=("no.invalid",))
    flags = [
        *authority.issue("server").flags(),
        f"--trusted-ca-file={authority.cert}",
        "--listen-metrics-urls=https://127.0.0.1:SECOND",
    ]
    with SecureEtcd(tmp_path, whose, flags) as etcd:
        served = [
            is_served(etcd.second_port, authority=authority.cert, pair=pair)
            for pair in (here, elsewhere, named, nowhere)
        ]

        assert served == [True, False, True, False]
        assert is_served(etcd.port, authority=authority.cert, pair=elsewhere)  # clients' addresses are their own affair


def test_ports_without_http_check_revocation(tmp_path: Path) -> None:
    """Since 3.5.11 HTTP may have ports of its own; gRPC's must still look at the list (GHSA-3wh4)."""
    authority = Authority(tmp_path, "ca")
    good, revoked = authority.issue("good"), authority.issue("revoked")
    crl = authority.revoke(tmp_path / "crl.der", [revoked], der=True)
    flags = [
        *authority.issue("server").flags(),
        f"--trusted-ca-file={authority.cert}",
        f"--client-crl-file={crl}",
        "--listen-client-http-urls=https://127.0.0.1:SECOND",
    ]
    with SecureEtcd(tmp_path, "ours", flags) as etcd:
        assert run_ctl("real", etcd, authority, good, "put", "a", "b").stdout == "OK\n"
        assert run_ctl("real", etcd, authority, revoked, "put", "a", "b").returncode != 0
        assert is_served(etcd.second_port, authority=authority.cert, pair=good)
        assert not is_served(etcd.second_port, authority=authority.cert, pair=revoked)


def run_ctl(
    whose: str, etcd: SecureEtcd, authority: Authority, pair: Pair | None, *arguments: str
) -> subprocess.CompletedProcess[str]:
    binary = ours_binary("etcdctl") if whose == "ours" else reference_binary("etcdctl")
    shown = [f"--cert={pair.cert}", f"--key={pair.key}"] if pair is not None else []
    return subprocess.run(
        [str(binary), f"--endpoints=https://127.0.0.1:{etcd.port}", f"--cacert={authority.cert}", *shown, *arguments],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("whose", SERVERS)
def test_both_etcdctls(strict: SecureEtcd, authority: Authority, whose: str) -> None:
    pair = authority.issue("client-ctl")

    assert run_ctl(whose, strict, authority, pair, "put", "k", "v").stdout == "OK\n"
    assert run_ctl(whose, strict, authority, pair, "get", "k").stdout == "k\nv\n"
    assert run_ctl(whose, strict, authority, pair, "endpoint", "health").returncode == 0
    assert run_ctl(whose, strict, authority, None, "--command-timeout=2s", "put", "k", "v").returncode == 1


@pytest.mark.parametrize("whose", SERVERS)
def test_http_and_https_at_once(tmp_path: Path, authority: Authority, server_pair: Pair, whose: str) -> None:
    both = "https://127.0.0.1:FIRST,http://127.0.0.1:SECOND"
    flags = [*server_pair.flags(), f"--listen-client-urls={both}", f"--advertise-client-urls={both}"]
    with SecureEtcd(tmp_path, whose, flags) as etcd:
        binary = str(reference_binary("etcdctl"))
        environment = clean_environment({"ETCDCTL_API": "3"})

        def ctl(endpoint: str, *arguments: str) -> str:
            command = [binary, f"--endpoints={endpoint}", f"--cacert={authority.cert}", "--dial-timeout=3s", *arguments]
            return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60).stdout

        assert ctl(f"http://127.0.0.1:{etcd.second_port}", "put", "k", "v") == "OK\n"
        assert ctl(f"https://127.0.0.1:{etcd.port}", "get", "k", "--print-value-only") == "v\n"
        assert ctl(f"http://127.0.0.1:{etcd.port}", "--command-timeout=2s", "get", "k") == ""
        assert not is_served(etcd.second_port, authority=authority.cert)


@pytest.mark.parametrize("whose", SERVERS)
def test_certificates_made_by_itself(tmp_path: Path, whose: str) -> None:
    flags = ["--auto-tls", "--self-signed-cert-validity=2"]
    with SecureEtcd(tmp_path, whose, flags) as etcd:
        folder = tmp_path / f"{whose}.etcd" / "fixtures" / "client"
        assert sorted(path.name for path in folder.iterdir()) == ["cert.pem", "key.pem"]
        assert folder.joinpath("key.pem").stat().st_mode & 0o777 == 0o600
        assert is_served(etcd.port, authority=folder / "cert.pem", host="127.0.0.1")
        for ctl in SERVERS:
            binary = ours_binary("etcdctl") if ctl == "ours" else reference_binary("etcdctl")
            command = [str(binary), f"--endpoints=https://127.0.0.1:{etcd.port}", "--insecure-skip-tls-verify"]
            done = subprocess.run(
                [*command, "--insecure-transport=false", "put", "a", "b"],
                capture_output=True,
                text=True,
                env=clean_environment(),
                timeout=60,
                check=False,
            )
            assert done.stdout == "OK\n", done.stderr


def test_what_etcdctls_say_of_files(tmp_path: Path) -> None:
    """The same words, and the same exit code, from both; nobody is asked anything."""
    authority = Authority(tmp_path, "ca")
    pair, other, junk = authority.issue("pair"), authority.issue("other"), tmp_path / "junk"
    junk.write_text("junk")
    for flags in (
        [f"--cert={pair.cert}"],
        [f"--cert={pair.cert}", f"--key={other.key}"],
        [f"--cert={junk}", f"--key={pair.key}"],
        [f"--cert={pair.cert}", f"--key={junk}"],
        [f"--cacert={tmp_path / 'nope'}"],
        [f"--cacert={junk}", "--command-timeout=200ms", "--dial-timeout=200ms"],
    ):
        said = []
        for binary in (ours_binary("etcdctl"), reference_binary("etcdctl")):
            command = [str(binary), f"--endpoints=https://127.0.0.1:{free_port()}", *flags, "get", "a"]
            done = subprocess.run(
                command, capture_output=True, text=True, env=clean_environment(), timeout=60, check=False
            )
            said.append((done.returncode, done.stderr.splitlines()[-1]))
        assert said[0] == said[1], flags
