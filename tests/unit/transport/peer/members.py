"""Two ends of the peer transport over real sockets: a network, its listener, and a receiver that writes down."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import uvloop

from etcdpy.base.log import close_logger, logger_to
from etcdpy.pb.raft_values import Message
from etcdpy.transport.http1 import HttpServer
from etcdpy.transport.listener import Listener
from etcdpy.transport.mux import Mux
from etcdpy.transport.peer import Identity, PeerNetwork, PeerServer, SnapshotRefused, Timeouts

CLUSTER: Final = 0xC1
# Only a broken transport needs longer; a loaded machine does not.
SECONDS_MAX: Final = 20.0
# Short enough for a test that waits for one of them, long enough for a loaded machine.
QUICK: Final = Timeouts(read_seconds=1.0, write_seconds=1.0, redial_seconds=0.01, dial_seconds=2.0)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a test's body on uvloop; a failure of the loop's callbacks fails it."""

    async def watched() -> None:
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
        try:
            async with asyncio.timeout(60):
                await work
        finally:
            # What a failed test left behind would keep the loop from closing.
            for member in list(_running):
                await member.stop()
        assert not failures

    uvloop.run(watched())


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds, which something on the loop or beside it makes true."""
    async with asyncio.timeout(SECONDS_MAX):
        while not condition():
            await asyncio.sleep(0.005)


_running: list[Member] = []


class Recorder:
    """A Receiver that remembers."""

    def __init__(self) -> None:
        self.received: list[Message] = []
        self.unreachable: list[int] = []
        self.snapshots_reported: list[tuple[int, bool]] = []
        self.snapshots: list[tuple[Message, str]] = []
        self.removed: set[int] = set()
        self.removed_here = 0
        self.refuses_snapshots = ""

    def receive(self, message: Message) -> None:
        self.received.append(message)

    def is_removed(self, member_id: int) -> bool:
        return member_id in self.removed

    def report_unreachable(self, member_id: int) -> None:
        self.unreachable.append(member_id)

    def report_snapshot(self, member_id: int, ok: bool) -> None:
        self.snapshots_reported.append((member_id, ok))

    def on_removed_here(self) -> None:
        self.removed_here += 1

    async def receive_snapshot(self, message: Message, path: str) -> None:
        if self.refuses_snapshots:
            raise SnapshotRefused(self.refuses_snapshots)
        self.snapshots.append((message, path))

    def types(self) -> list[int]:
        return [message.type for message in self.received]


class Output:
    """A log output that stays readable after it is closed."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    def close(self) -> None:
        """Nothing: the test still reads it."""


class Member:
    """One end. `start` it, `stop` it, start another at the same port."""

    def __init__(
        self,
        directory: Path,
        member_id: int,
        *,
        port: int = 0,
        cluster_id: int = CLUSTER,
        timeouts: Timeouts = QUICK,
        version: str = "3.5.33",
        minimum: str = "3.0.0",
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.member_id = member_id
        self.port = port
        self.cluster_id = cluster_id
        self._timeouts = timeouts
        self._version = version
        self._minimum = minimum
        self.recorder: Recorder = Recorder()
        self._output = Output()
        self._log = logger_to(self._output, "debug")

    async def start(self) -> Member:
        loop = asyncio.get_running_loop()
        self.listener = Listener("127.0.0.1", self.port, lambda: self.mux.connection(), loop=loop)
        self.listener.bind()
        self.port = self.listener.port
        self.url = f"http://127.0.0.1:{self.port}"
        self.network = PeerNetwork(
            loop=loop,
            identity=Identity(
                member_id=self.member_id,
                cluster_id=self.cluster_id,
                peer_urls=[self.url],
                server_version=self._version,
                min_cluster_version=self._minimum,
            ),
            receiver=self.recorder,
            snap_directory=str(self.directory),
            logger=self._log,
            rng=random.Random(self.member_id),
            timeouts=self._timeouts,
        )
        self.others = HttpServer(_other_app, loop=loop)
        self.server = PeerServer(self.network, others=self.others)
        self.mux = Mux(loop=loop, http2=None, http1=self.server)
        await self.listener.start()
        _running.append(self)
        return self

    async def stop(self) -> None:
        _running.remove(self)
        self.listener.close()
        self.mux.close()
        await self.network.close()
        self.server.abort()
        self.others.abort()
        await until(lambda: not self.server.connections)
        close_logger(self._log)

    def log_lines(self) -> list[dict[str, Any]]:
        """Return what was logged; whole only after `stop`."""
        return [json.loads(line) for line in b"".join(self._output.lines).splitlines()]

    def logged(self) -> list[str]:
        return [line["msg"] for line in self.log_lines()]


async def _other_app(scope: Any, receive: Any, send: Any) -> None:
    body = f"other {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Both:
    """Two members that know each other: an async context manager."""

    def __init__(self, tmp_path: Path, **options: Any) -> None:
        self.one = Member(tmp_path / "one", 1, **options)
        self.two = Member(tmp_path / "two", 2, **options)

    async def __aenter__(self) -> Both:
        await self.one.start()
        await self.two.start()
        self.one.network.add_peer(2, [self.two.url])
        self.two.network.add_peer(1, [self.one.url])
        await until(self.are_attached)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.one.stop()
        await self.two.stop()

    def are_attached(self) -> bool:
        return is_attached(self.one, 2) and is_attached(self.two, 1)


def is_attached(member: Member, to: int) -> bool:
    """Whether both streams to that peer are up."""
    peer = member.network.find_peer(to)
    return peer is not None and peer.is_streaming


async def ask(port: int, data: bytes, *, is_head: bool = False) -> tuple[int, dict[str, str], bytes]:
    """Send bytes on a new connection, return the first answer: status, headers, body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(SECONDS_MAX):
            return await read_answer(reader, is_head=is_head)
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader, *, is_head: bool = False) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = b"" if is_head else await reader.readexactly(int(headers.get("content-length", "0")))
    return int(head[0].split(" ")[1]), headers, body


def request(method: str, path: str, body: bytes = b"", **headers: str | None) -> bytes:
    """A request as a peer with id 2 makes it, but for `headers`: names with _ for -, None leaves one out."""
    fields: dict[str, str | None] = {
        "Host": "x",
        "X-Server-From": "2",
        "X-Server-Version": "3.5.1",
        "X-Min-Cluster-Version": "3.0.0",
        "X-Etcd-Cluster-ID": f"{CLUSTER:x}",
    }
    if body or method == "POST":
        fields["Content-Length"] = str(len(body))
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
