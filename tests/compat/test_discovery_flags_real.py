"""Flags of discovery, by what a started member does with them; of --discovery-proxy, a real one as well.

Which of two times is the shorter one shows in what a member says of a service that takes the connection and then keeps
silent: "i/o timeout" comes of the dial's, "context deadline exceeded" alone of the request's.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compat.test_discovery_tls_real import (
    READY,
    SECONDS_MAX,
    Service,
    run_member_until,
    running_proxy,
    running_service,
    start_member,
    wait_for,
)
from tests.ours import ours_binary
from tests.reference import reference_binary

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("service")) as service:
        yield service


def said(log: Path, message: str) -> list[dict[str, Any]]:
    """Return the log's lines with a message. A line of the real one's is no JSON."""
    entries = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [entry for entry in entries if entry["msg"] == message]


# -- the times


@pytest.mark.parametrize(
    ("dial", "request_", "is_dial_first"),
    # By default 2s and 5s: each flag, were it ignored, would turn one of these around.
    [("50ms", "1900ms", True), ("4s", "50ms", False)],
)
def test_how_long_a_silent_service_is_waited_for(tmp_path: Path, dial: str, request_: str, is_dial_first: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are taken by the kernel, and TLS never begins
        log = run_member_until(
            "retry connecting to discovery service",
            tmp_path,
            {},
            f"--discovery-endpoints=https://127.0.0.1:{silent.getsockname()[1]}",
            "--discovery-token=t",
            f"--discovery-dial-timeout={dial}",
            f"--discovery-request-timeout={request_}",
        )
    error = said(log, "retrying of unary invoker failed")[0]["error"]
    assert ("i/o timeout" in error) == is_dial_first, error
    assert is_dial_first or error == "context deadline exceeded"


# -- with or without TLS, where an endpoint does not say


def test_insecure_transport_is_turned_off(service: Service, tmp_path: Path) -> None:
    service.ctl("put", "/_etcd/registry/secure/_config/size", "1")
    run_member_until(
        READY,
        tmp_path,
        {"SSL_CERT_FILE": str(service.authority.cert)},
        f"--discovery-endpoints=127.0.0.1:{service.etcd.port}",
        "--discovery-token=secure",
        "--discovery-insecure-transport=false",
    )
    assert "m=http://127.0.0.1:" in service.ctl("get", "--prefix", "/_etcd/registry/secure/members/")


def test_insecure_transport_is_not_understood_by_a_service_with_tls(service: Service, tmp_path: Path) -> None:
    service.ctl("put", "/_etcd/registry/insecure/_config/size", "1")
    run_member_until(
        "retry connecting to discovery service",
        tmp_path,
        {"SSL_CERT_FILE": str(service.authority.cert)},
        f"--discovery-endpoints=127.0.0.1:{service.etcd.port}",
        "--discovery-token=insecure",
        "--discovery-request-timeout=200ms",
    )
    assert service.ctl("get", "--prefix", "/_etcd/registry/insecure/members/") == ""


# -- a proxy


@pytest.mark.parametrize("whose", ["real", "ours"])
def test_a_member_founds_its_cluster_through_a_proxy(service: Service, tmp_path: Path, whose: str) -> None:
    url = service.make_v2_token(f"by-proxy-{whose}")
    binary = reference_binary("etcd") if whose == "real" else ours_binary("etcd")

    async def scenario() -> None:
        async with running_proxy(None) as proxy:
            process, log = start_member(
                tmp_path,
                {"SSL_CERT_FILE": str(service.authority.cert)},
                f"--discovery={url}",
                f"--discovery-proxy={proxy.url}",
                binary=binary,
            )
            try:
                await asyncio.to_thread(wait_for, log, READY, process)
            finally:
                process.terminate()
                await asyncio.to_thread(process.wait, SECONDS_MAX)
            assert [entry["proxy-url"] for entry in said(log, "running proxy with discovery")] == [proxy.url]
            assert set(proxy.asked) == {f"CONNECT 127.0.0.1:{service.etcd.port} HTTP/1.1"}

    asyncio.run(scenario())
    assert len(service.v2_registrations(url)) == 1
