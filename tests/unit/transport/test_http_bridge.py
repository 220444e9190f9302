"""HTTP/2 requests that are no gRPC, over TLS by curl: what an ASGI application gets, and what its answers become."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import uvloop

from etcdpy.transport.grpc import GrpcServer
from etcdpy.transport.http_bridge import BridgedGrpc, HttpBridge
from etcdpy.transport.mux import Mux
from etcdpy.transport.tls import Credentials, HandshakeGate, TlsServer
from tests.unit.transport.tls.secure import LOG, settings_of

LARGE = bytes(range(256)) * 4096  # 1 MiB
DEADLINE_SECONDS = 30.0


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/broken":
        raise ValueError("broken")
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    if scope["path"] == "/large":
        body = LARGE
    headers = dict(scope["headers"])
    shown = [scope["method"], scope["path"], scope["query_string"].decode(), scope["scheme"], headers[b"host"].decode()]
    fields = [(b"X-Seen", " ".join(shown).encode()), (b"Connection", b"close"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 201, "headers": fields})
    await send({"type": "http.response.body", "body": body[:7], "more_body": True})
    await send({"type": "http.response.body", "body": body[7:]})


def curl(tmp_path: Path, path: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Ask a server of ours, which also has gRPC, by HTTP/2."""
    complaints: list[dict[str, Any]] = []

    async def scenario() -> subprocess.CompletedProcess[bytes]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        settings = settings_of(tmp_path, trusted_ca_file="")
        tls = TlsServer(Credentials(settings, LOG), HandshakeGate(loop), loop=loop, log=LOG, checks_addresses=False)
        grpc, bridge = GrpcServer({}, loop=loop), HttpBridge(application, loop=loop)
        mux = Mux(loop=loop, http2=BridgedGrpc(grpc, bridge), http1=None, tls=tls)
        server = await loop.create_server(mux.connection, "127.0.0.1", 0)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"
        command = ["curl", "-sS", "--http2", "--path-as-is", "--cacert", str(tmp_path / "ca.crt"), *arguments, url]
        done = await asyncio.wait_for(
            loop.run_in_executor(None, lambda: subprocess.run(command, capture_output=True, check=False)),
            DEADLINE_SECONDS,
        )
        server.close()
        bridge.close()
        grpc.abort()
        return done

    done = uvloop.run(scenario())
    assert len(complaints) == (1 if path == "/broken" else 0), complaints
    return done


def test_a_request_and_its_answer(tmp_path: Path) -> None:
    done = curl(tmp_path, "/a%20b?c=d", "-i", "-X", "PUT", "-d", "the body")

    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert body == b"the body"
    lines = head.decode().split("\r\n")
    assert lines[0].strip() == "HTTP/2 201"
    seen = next(line for line in lines if line.startswith("x-seen: "))
    assert seen.startswith("x-seen: PUT /a b c=d https 127.0.0.1:")
    assert not any(line.startswith("connection") for line in lines)


def test_long_bodies_both_ways(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(LARGE)

    assert curl(tmp_path, "/echo", "--data-binary", f"@{upload}").stdout == LARGE
    assert curl(tmp_path, "/large").stdout == LARGE


def test_a_body_that_is_too_long(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(LARGE * 5)

    assert LARGE not in curl(tmp_path, "/echo", "-i", "--data-binary", f"@{upload}").stdout


def test_head_has_no_body(tmp_path: Path) -> None:
    assert curl(tmp_path, "/large", "-I").stdout.startswith(b"HTTP/2 201")


def test_what_the_application_raises_is_500_and_told(tmp_path: Path) -> None:
    assert curl(tmp_path, "/broken", "-i").stdout.startswith(b"HTTP/2 500")
