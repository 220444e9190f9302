"""What a hostile client may try on the client port, one test each: bounded memory, and others are still served.

Every attack is a bounded number of frames against a live server process. Expected are: GOAWAY(ENHANCE_YOUR_CALM) where
the attack is a flood, at most 64 MiB more memory, and an answer to an honest client during and after it. `make attacks`
does the same for longer to a cluster, and measures time.
"""

from __future__ import annotations

import itertools
import select
import socket
import struct
from collections.abc import Iterator

import pytest

from etcdpy.transport.grpc.blocking import BlockingChannel
from tests.e2e.attacks.floods import FLOODS, STREAM_IDS, half_sent_uploads, huge_lengths, pings, rapid_reset, requests
from tests.e2e.attacks.floods import settings as settings_flood
from tests.unit.transport import wire
from tests.unit.transport.echo_server import RunningServer, running_server

pytestmark = pytest.mark.slow

MEMORY_BYTES_MAX = 64 << 20
PROTOCOL_ERROR = 1
COMPRESSION_ERROR = 9
ENHANCE_YOUR_CALM = 11
UNARY, LARGE = b"/test.Echo/Unary", b"/test.Echo/Large"
BLOCK = wire.request_fields(UNARY)
# What is an error of the connection by itself does not come to a flood.
ENDS = {
    "made-you-reset by window": PROTOCOL_ERROR,
    "frames of no size": PROTOCOL_ERROR,
    "endless number": COMPRESSION_ERROR,
}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server() as server:
        with BlockingChannel(f"127.0.0.1:{server.port}") as channel:
            channel.unary(b"/test.Echo/Unary", b"warm", timeout=10)
        yield server


class Outcome:
    """What came of an attack."""

    def __init__(self) -> None:
        self.received = b""
        self.closed = False
        self.memory_growth = 0

    def goaway(self) -> int | None:
        """The error code of the last GOAWAY, if any."""
        codes = [int.from_bytes(f[3][4:8], "big") for f in wire.frames_of(self.received) if f[0] == wire.GOAWAY]
        return codes[-1] if codes else None

    def goaway_text(self) -> bytes:
        return b"".join(f[3][8:] for f in wire.frames_of(self.received) if f[0] == wire.GOAWAY)

    def resets(self) -> int:
        return sum(f[0] == wire.RST_STREAM for f in wire.frames_of(self.received))


def honest_call(server: RunningServer) -> None:
    with BlockingChannel(f"127.0.0.1:{server.port}") as channel:
        assert channel.unary(b"/test.Echo/Unary", b"honest", timeout=10) == b"honest"


def attack(server: RunningServer, frames: Iterator[bytes], *, count: int, reads: bool = True) -> Outcome:
    """Send up to `count` pieces as fast as they are taken, and look at the server meanwhile."""
    outcome = Outcome()
    before = server.resident_bytes()
    with wire.connect(server.port) as sock:
        sock.setblocking(False)
        flood = itertools.islice(frames, count)
        waiting = b""
        served = 0
        while not outcome.closed:
            waiting = waiting or b"".join(itertools.islice(flood, 500))
            if not waiting:
                break
            readable, writable, _ = select.select([sock] if reads else [], [sock], [], 2)
            if not readable and not writable:
                break  # the server listens no more: that is an answer too
            pump(sock, outcome, readable=bool(readable))
            if writable and not outcome.closed:
                waiting = send_some(sock, outcome, waiting)
            outcome.memory_growth = max(outcome.memory_growth, server.resident_bytes() - before)
            if served < 3:
                served += 1
                honest_call(server)
        honest_call(server)
        collect_rest(sock, outcome)
    outcome.memory_growth = max(outcome.memory_growth, server.resident_bytes() - before)
    assert outcome.memory_growth <= MEMORY_BYTES_MAX, f"{outcome.memory_growth >> 20} MiB"
    honest_call(server)
    return outcome


def send_some(sock: socket.socket, outcome: Outcome, waiting: bytes) -> bytes:
    try:
        return waiting[sock.send(waiting) :]
    except BlockingIOError:
        return waiting
    except OSError:
        outcome.closed = True
        return b""


def pump(sock: socket.socket, outcome: Outcome, *, readable: bool) -> None:
    if not readable:
        return
    try:
        chunk = sock.recv(1 << 20)
    except OSError:
        outcome.closed = True
        return
    outcome.received += chunk
    outcome.closed = not chunk


def collect_rest(sock: socket.socket, outcome: Outcome) -> None:
    """Read what is still to come, until the end or a second of silence."""
    while select.select([sock], [], [], 1)[0]:
        pump(sock, outcome, readable=True)
        if outcome.closed:
            return


@pytest.mark.parametrize("name", FLOODS)
def test_flood_ends_with_goaway(server: RunningServer, name: str) -> None:
    count = 300 if name == "hpack bomb" else 20_000

    outcome = attack(server, FLOODS[name](UNARY), count=count)

    assert outcome.goaway() == ENDS.get(name, ENHANCE_YOUR_CALM)
    assert outcome.closed


def test_ping_flood_is_told_why(server: RunningServer) -> None:
    outcome = attack(server, pings(UNARY), count=1000)

    assert outcome.goaway_text().startswith(b"too_many_pings")


def test_flood_without_reading_is_cut_off_too(server: RunningServer) -> None:
    for make in (pings, settings_flood, rapid_reset):
        outcome = attack(server, make(UNARY), count=20_000, reads=False)

        assert outcome.closed


def test_answers_that_nobody_reads_are_bounded(server: RunningServer) -> None:
    """20,000 requests for 8 MiB each, and nothing is read: the server stops listening instead of filling its memory."""
    attack(server, requests(LARGE, b""), count=20_000, reads=False)


def test_answers_without_window_are_bounded(server: RunningServer) -> None:
    """The client reads its socket but never opens a window for the answers."""
    attack(server, requests(LARGE, b""), count=12_000)


def test_half_sent_uploads_are_bounded(server: RunningServer) -> None:
    """1,000 messages of 2 MiB begun and never ended: what they may hold is windows, not messages."""
    # An honest client would stop at its windows; this one does not, and is told so.
    attack(server, half_sent_uploads(UNARY), count=10_000)


def test_half_sent_uploads_within_their_windows_are_bounded(server: RunningServer) -> None:
    before = server.resident_bytes()
    with wire.connect(server.port) as sock:
        for i in STREAM_IDS[:1000]:
            sock.sendall(wire.headers(i, BLOCK) + wire.data(i, b"\x00\x00\x20\x00\x00" + bytes(16000), end=False))
            sock.sendall(wire.data(i, bytes(16000), end=False))
            if i % 100 == 1:
                while select.select([sock], [], [], 0)[0]:
                    sock.recv(65536)
        honest_call(server)

        assert server.resident_bytes() - before <= MEMORY_BYTES_MAX

    honest_call(server)


def test_huge_length_prefixes_allocate_nothing(server: RunningServer) -> None:
    attack(server, huge_lengths(UNARY), count=5000)


def test_gzip_bomb_is_refused(server: RunningServer) -> None:
    import gzip

    body = bytearray(gzip.compress(bytes(500 << 20), compresslevel=9))
    body[-4:] = struct.pack("<I", 1000)  # the size it claims is harmless
    block = wire.request_fields(extra=[(b"grpc-encoding", b"gzip")])
    before = server.resident_bytes()
    with wire.connect(server.port) as sock:
        framed = wire.message(bytes(body[:30_000]), flag=1)
        sock.sendall(wire.headers(1, block) + wire.data(1, framed[:16000], end=False) + wire.data(1, framed[16000:]))
        wire.read_until(sock, wire.HEADERS, 1)

    assert server.resident_bytes() - before <= MEMORY_BYTES_MAX
    honest_call(server)


def test_idle_connections_do_not_keep_others_out(server: RunningServer) -> None:
    before = server.resident_bytes()
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    opened = [wire.connect(server.port) for _ in range(100)]
    try:
        honest_call(server)
        assert server.resident_bytes() - before <= MEMORY_BYTES_MAX
    finally:
        for sock in idle + opened:
            sock.close()


@pytest.mark.parametrize("seed", range(20))
def test_garbage_bytes_do_no_harm(server: RunningServer, seed: int) -> None:
    import random

    noise = random.Random(seed).randbytes(20_000)
    for start in (b"", wire.PREFACE, wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0)):
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            try:
                sock.sendall(start + noise)
            except OSError:
                continue
            sock.shutdown(socket.SHUT_WR)
            wire.read_to_end(sock)
    honest_call(server)


def test_endless_http1_header_is_cut(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\na: ")
        try:
            for _ in range(1000):
                sock.sendall(b"b" * 65536)
        except OSError:
            pass
        else:
            pytest.fail("64 MiB of one header were taken")
    honest_call(server)
