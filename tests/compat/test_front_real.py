"""The gateway behind --cors and --host-whitelist, beside the real etcd 3.5.1; and on a port of its own,
which 3.5.1 does not have yet.
"""

from __future__ import annotations

import http.client
import time
from pathlib import Path
from typing import Final

import pytest

from etcdpy.base.errors import EtcdError
from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Client, run_on_both
from tests.ours import ours_binary
from tests.reference import START_SECONDS_MAX, RunningEtcd, free_port, start_reference_etcd

pytestmark = pytest.mark.slow

SECONDS_MAX: Final = 15.0
HEADERS: Final = (
    "content-type",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
)
PATHS: Final = ("/v3/kv/range", "/v3/cluster/nothing", "/version", "/health", "/metrics", "/nope")
ORIGINS: Final = (
    "",
    "http://a.example:1",
    "http://b.example:2",
    "http://a.example",
    "http://a.example:80",
    "http://evil.example",
    "null",
    "*",
)
HOSTS: Final = (
    "good.example",
    "good.example:2379",
    "GOOD.example",
    "evil.example",
    "127.0.0.1:1",
    "localhost",
    "[::1]:80",
    "",
)
KEY: Final = b'{"key":"Zm9v"}'
Answer = tuple[int, dict[str, str], bytes]


def ask(address: str, method: str, path: str, *, host: str | None = None, origin: str = "") -> Answer:
    """Return status, the headers that matter, and the body where it is the same for everybody."""
    connection = http.client.HTTPConnection(address, timeout=SECONDS_MAX)
    try:
        connection.putrequest(method, path, skip_host=host is not None)
        if host is not None:
            connection.putheader("Host", host)
        if origin:
            connection.putheader("Origin", origin)
        connection.putheader("Content-Length", str(len(KEY)))
        connection.endheaders(KEY)
        response = connection.getresponse()
        body = response.read()
        headers = {name: value for name in HEADERS if (value := response.getheader(name)) is not None}
        # What stands on these pages, and why a host is refused, each says in its own words.
        is_own = path in ("/version", "/metrics") or response.status == 421
        if path == "/metrics":
            headers.pop("content-type", None)
        return response.status, headers, b"" if is_own else body
    finally:
        connection.close()


@pytest.mark.parametrize("cors", ["*", "http://a.example:1,http://b.example:2"])
def test_origins(tmp_path: Path, cors: str) -> None:
    def script(server: RunningEtcd) -> list[Answer]:
        return [
            ask(server.endpoint, method, path, origin=origin)
            for path in PATHS
            for origin in ORIGINS
            for method in ("POST", "GET", "OPTIONS")
        ]

    both = run_on_both(tmp_path, script, flags=[f"--cors={cors}"])
    assert both.ours == both.theirs
    allowed = {headers.get("access-control-allow-origin") for _, headers, _ in both.ours}
    assert allowed == ({"*"} if cors == "*" else {None, "http://a.example:1", "http://b.example:2"})


def test_hosts(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[Answer]:
        return [ask(server.endpoint, "POST", path, host=host) for path in PATHS for host in HOSTS]

    both = run_on_both(
        tmp_path, script, flags=["--host-whitelist=good.example,127.0.0.1"]
    )  # and the one who waits for it
    assert both.ours == both.theirs
    assert {status for status, _, _ in both.ours} >= {200, 404, 421}


def test_a_port_of_its_own(tmp_path: Path) -> None:
    """The HTTP port serves everything but gRPC, and the client port nothing but gRPC; both flags hold there, too."""
    http_address = f"127.0.0.1:{free_port()}"
    flags = [
        f"--listen-client-http-urls=http://{http_address}",
        "--cors=http://a.example:1",
        "--host-whitelist=good.example",
    ]
    with start_reference_etcd(tmp_path, binary=ours_binary("etcd"), flags=flags, wait=False) as server:
        with Client(server.endpoint) as client:
            _wait_until_serving(client)
            client.call("KV/Put", pb.PutRequest(key=b"foo", value=b"v"), pb.PutResponse)
        status, headers, body = ask(
            http_address, "POST", "/v3/kv/range", host="good.example", origin="http://a.example:1"
        )
        assert (status, headers["access-control-allow-origin"]) == (200, "http://a.example:1") and b"Zm9v" in body
        assert ask(http_address, "POST", "/v3/kv/range", host="evil.example")[0] == 421
        for path in ("/health", "/metrics", "/version", "/readyz"):
            assert ask(http_address, "GET", path, host="good.example")[0] == 200
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(server.endpoint, "GET", "/health", host="good.example")
        with Client(http_address) as client, pytest.raises(EtcdError):
            client.call("KV/Put", pb.PutRequest(key=b"foo"), pb.PutResponse)


def _wait_until_serving(client: Client) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            client.call("Maintenance/Status", pb.StatusRequest(), pb.StatusResponse)
            return
        except EtcdError:
            assert time.monotonic() < deadline, "it never serves"
