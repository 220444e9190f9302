"""A TLS server and client of ours on loopback, for tests of either."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from etcdpy.base.log import close_logger, logger_to
from etcdpy.transport.tls import Credentials, HandshakeGate, TlsClient, TlsServer, TlsSettings
from tests.certificates import Authority

LOG = logging.getLogger("test")
DEADLINE_SECONDS = 20.0


class Lines:
    """Implements `base.log_output.Output`."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.lines.append(data)

    def close(self) -> None:
        pass


@contextmanager
def kept_log() -> Iterator[tuple[logging.Logger, list[str]]]:
    """A log and, once the context is left, the messages that were logged."""
    output = Lines()
    log = logger_to(output)
    messages: list[str] = []
    try:
        yield log, messages
    finally:
        close_logger(log)
        messages += [json.loads(line)["msg"] for line in b"".join(output.lines).splitlines()]


class Echo(asyncio.Protocol):
    """Sends back what comes; remembers what happened."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.transport: Any = None
        self.events: list[str] = []
        self.lost = asyncio.Event()
        self.error: Exception | None = None
        self.has_more = asyncio.Event()
        self.echoes = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.has_more.set()
        if self.echoes:
            self.transport.write(data)

    def eof_received(self) -> bool:
        self.events.append("eof")
        return False

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.lost.set()

    async def wait_received(self, size: int) -> bytes:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.received) < size:
                self.has_more.clear()
                await self.has_more.wait()
        return bytes(self.received)


class Silent(Echo):
    def __init__(self) -> None:
        super().__init__()
        self.echoes = False


class Secure:
    def __init__(
        self, port: int, server: TlsServer, client: TlsClient, served: list[Echo], gate: HandshakeGate
    ) -> None:
        self.port = port
        self.server = server
        self.client = client
        self.served = served
        self.gate = gate


def settings_of(folder: Path, **changes: Any) -> TlsSettings:
    authority = Authority(folder, "ca")
    pair = authority.issue("member")
    settings = TlsSettings(cert_file=str(pair.cert), key_file=str(pair.key), trusted_ca_file=str(authority.cert))
    return replace(settings, **changes)


@asynccontextmanager
async def secure(
    settings: TlsSettings,
    *,
    client: TlsSettings | None = None,
    make: Callable[[], Echo] = Echo,
    checks_addresses: bool = False,
    places: int = 8,
    log: logging.Logger = LOG,
) -> AsyncIterator[Secure]:
    loop = asyncio.get_running_loop()
    gate = HandshakeGate(loop, limit=places)
    server = TlsServer(Credentials(settings, LOG), gate, loop=loop, log=log, checks_addresses=checks_addresses)
    served: list[Echo] = []

    def make_app() -> Echo:
        served.append(make())
        return served[-1]

    listener = await loop.create_server(lambda: server.connection(make_app), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield Secure(port, server, TlsClient(Credentials(client or settings, LOG), loop=loop), served, gate)
    finally:
        listener.close()
        for app in served:
            if app.transport is not None:
                app.transport.abort()
        server.close()
        async with asyncio.timeout(DEADLINE_SECONDS):
            for app in served:
                await app.lost.wait()
