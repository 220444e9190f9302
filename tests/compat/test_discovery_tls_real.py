"""Discovery services with TLS and authentication, 3.5.1's and ours; through proxies, with and without TLS.

A member that is told to discover its cluster through them is started as a process and ends up in a cluster of its own.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from etcdpy.base.log import silent_logger
from etcdpy.embed.discovery_v2 import V2Discovery
from tests.certificates import Authority, Pair
from tests.compat.test_tls_real import SecureEtcd
from tests.ours import ours_binary
from tests.reference import clean_environment, free_port, reference_binary

SECONDS_MAX = 30.0
SERVICES = ("ours", "real")
READY = "ready to serve client requests"


class Service:
    """A member with TLS, a token of size 1 in both kinds of keys, and where its authority's certificate is."""

    def __init__(self, etcd: SecureEtcd, authority: Authority, pair: Pair) -> None:
        self.etcd = etcd
        self.authority = authority
        self.pair = pair
        self.url = f"https://127.0.0.1:{etcd.port}"

    def ctl(self, *arguments: str, user: str = "") -> str:
        command = [str(reference_binary("etcdctl")), f"--endpoints={self.url}", f"--cacert={self.authority.cert}"]
        command += [f"--cert={self.pair.cert}", f"--key={self.pair.key}", *([f"--user={user}"] if user else [])]
        environment = clean_environment({"ETCDCTL_API": "3"})
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make_v2_token(self, name: str) -> str:
        url = f"{self.url}/v2/keys/{name}"
        context = ssl.create_default_context(cafile=str(self.authority.cert))
        request = urllib.request.Request(f"{url}/_config/size", data=b"value=1", method="PUT")
        with urllib.request.urlopen(request, context=context, timeout=SECONDS_MAX) as answer:
            assert answer.status == 201
        return url

    def v2_registrations(self, url: str) -> list[str]:
        context = ssl.create_default_context(cafile=str(self.authority.cert))
        with urllib.request.urlopen(url, context=context, timeout=SECONDS_MAX) as answer:
            nodes = json.loads(answer.read())["node"].get("nodes", [])
        return [node["value"] for node in nodes]


@contextmanager
def running_service(folder: Path) -> Iterator[Service]:
    """A real one with TLS, and nothing else to ask of its clients."""
    authority = Authority(folder, "ca")
    pair = authority.issue("server")
    with SecureEtcd(folder, "real", [*pair.flags(), "--enable-v2"]) as etcd:
        yield Service(etcd, authority, pair)


@pytest.fixture(scope="module")
def v2_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("v2")) as service:
        yield service


@pytest.fixture(scope="module", params=SERVICES)
def v3_service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """It wants certificates of its clients, and a password."""
    folder = tmp_path_factory.mktemp("v3")
    authority = Authority(folder, "ca")
    pair = authority.issue("server", common_name="")
    flags = [*pair.flags(), "--client-cert-auth", f"--trusted-ca-file={authority.cert}"]
    with SecureEtcd(folder, request.param, flags) as etcd:
        service = Service(etcd, authority, pair)
        service.ctl("user", "add", "root", "--new-user-password=secret")
        service.ctl("user", "grant-role", "root", "root")
        service.ctl("auth", "enable")
        yield service


# ---- proxies


class Proxy:
    """Invariant: `asked` has the first line of each request."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.heads: list[str] = []
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError), _dropped(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            self.asked.append(head.partition("\r\n")[0])
            host, _, port = head.split(" ")[1].rpartition(":")
            there, to_there = await asyncio.open_connection(host, int(port))
            with _dropped(to_there):
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(_copy(reader, to_there), _copy(there, writer))

    async def finish(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextmanager
def _dropped(writer: asyncio.StreamWriter) -> Iterator[None]:
    """Whatever happens, the connection does not outlive this."""
    try:
        yield
    finally:
        writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@asynccontextmanager
async def running_proxy(pair: Pair | None) -> AsyncIterator[Proxy]:
    context: ssl.SSLContext | None = None
    if pair is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
    proxy = Proxy()
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    proxy.url = f"{'http' if pair is None else 'https'}://u:p%20w@127.0.0.1:{port}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.finish()
        await server.wait_closed()
        await asyncio.sleep(0)  # transports tell of their end in the next turn


@pytest.mark.parametrize("kind", ["no proxy", "http", "https"])
def test_v2_keys_by_https(v2_service: Service, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(v2_service.authority.cert))
    url = v2_service.make_v2_token(f"by-{kind.replace(' ', '-')}")

    async def join(proxy: str) -> tuple[list[str], int]:
        return await V2Discovery(url, proxy, 10, silent_logger(), backoff_unit_seconds=0.01).join("m=http://m:1")

    async def scenario() -> None:
        if kind == "no proxy":
            assert await join("") == (["m=http://m:1"], 1)
            return
        async with running_proxy(v2_service.pair if kind == "https" else None) as proxy:
            assert await join(proxy.url) == (["m=http://m:1"], 1)
            assert set(proxy.asked) == {f"CONNECT 127.0.0.1:{v2_service.etcd.port} HTTP/1.1"}
            assert all("Proxy-Authorization: Basic dTpwIHc=\r\n" in head for head in proxy.heads)

    asyncio.run(scenario())
    assert v2_service.v2_registrations(url) == ["m=http://m:1"]


def test_a_service_that_nobody_vouches_for_is_not_believed(v2_service: Service, tmp_path: Path) -> None:
    url = v2_service.make_v2_token("not-believed")
    log = run_member_until("failed to get from discovery server", tmp_path, {}, f"--discovery={url}")
    assert "certificate" in log.read_text()
    assert v2_service.v2_registrations(url) == []


# ---- whole members


def start_member(
    folder: Path, extra: dict[str, str], *flags: str, binary: Path | None = None
) -> tuple[subprocess.Popen[bytes], Path]:
    peer, client = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    log = folder / "member.log"
    command = [
        str(binary or ours_binary("etcd")),
        "--name=m",
        f"--data-dir={folder}/m.etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        *flags,
    ]
    with log.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, env=clean_environment(extra)), log


def run_member_until(text: str, folder: Path, extra: dict[str, str], *flags: str) -> Path:
    """Run a member of ours until it says `text`, and return its log. One that is ready ends when it is asked to."""
    process, log = start_member(folder, extra, *flags)
    try:
        wait_for(log, text, process)
    finally:
        process.terminate() if text == READY else process.kill()
        process.wait(SECONDS_MAX)
    return log


def wait_for(log: Path, text: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(int(SECONDS_MAX / 0.05)):
        if text in log.read_text():
            return
        assert process.poll() is None, log.read_text()
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    raise TimeoutError(log.read_text())


def test_a_member_founds_its_cluster_through_v2_keys(v2_service: Service, tmp_path: Path) -> None:
    url = v2_service.make_v2_token("whole")
    run_member_until(READY, tmp_path, {"SSL_CERT_FILE": str(v2_service.authority.cert)}, f"--discovery={url}")


@pytest.mark.parametrize(
    "user", [("--discovery-user=root:secret",), ("--discovery-user=root", "--discovery-password=secret")]
)
@pytest.mark.parametrize("trust", ["cacert", "skip-verify"])
def test_a_member_founds_its_cluster_through_v3_keys(
    v3_service: Service, tmp_path: Path, user: tuple[str, ...], trust: str
) -> None:
    token = f"{trust}-{len(user)}"
    v3_service.ctl("put", f"/_etcd/registry/{token}/_config/size", "1", user="root:secret")
    client = v3_service.authority.issue(f"client-{token}", common_name="")
    trusting = (
        f"--discovery-cacert={v3_service.authority.cert}"
        if trust == "cacert"
        else "--discovery-insecure-skip-tls-verify=true"
    )
    run_member_until(
        READY,
        tmp_path,
        {},
        f"--discovery-endpoints={v3_service.url}",
        f"--discovery-token={token}",
        f"--discovery-cert={client.cert}",
        f"--discovery-key={client.key}",
        trusting,
        *user,
    )
    assert "m=http://127.0.0.1:" in v3_service.ctl(
        "get", "--prefix", f"/_etcd/registry/{token}/members/", user="root:secret"
    )


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        ("cacert", "certificate signed by unknown authority"),
        ("cert", "retrying of unary invoker failed"),
        ("user", "permission denied"),
    ],
)
def test_who_lacks_something_waits(v3_service: Service, tmp_path: Path, missing: str, text: str) -> None:
    token = f"lacks-{missing}"
    v3_service.ctl("put", f"/_etcd/registry/{token}/_config/size", "1", user="root:secret")
    client = v3_service.authority.issue(f"client-{token}", common_name="")
    flags = {
        "cacert": [f"--discovery-cacert={v3_service.authority.cert}"],
        "cert": [f"--discovery-cert={client.cert}", f"--discovery-key={client.key}"],
        "user": ["--discovery-user=root:secret"],
    }
    given = [flag for name, those in flags.items() if name != missing for flag in those]
    log = run_member_until(
        "retry connecting to discovery service",
        tmp_path,
        {},
        f"--discovery-endpoints={v3_service.url}",
        f"--discovery-token={token}",
        *given,
    )
    assert text in log.read_text()


def test_files_that_are_no_good_are_refused(tmp_path: Path) -> None:
    process, log = start_member(
        tmp_path, {}, "--discovery-endpoints=127.0.0.1:1", "--discovery-token=t", f"--discovery-cacert={tmp_path}/none"
    )
    assert process.wait(SECONDS_MAX) == 1
    assert f"open {tmp_path}/none: no such file or directory" in log.read_text()
