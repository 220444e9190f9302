"""Watch streams whose client reads nothing: what a connection costs is bounded, however many it has."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from etcdpy.client import Client
from etcdpy.pb import rpc_pb2 as pb
from tests.e2e.test_range_stream import address_of, resident_bytes
from tests.ours import ours_binary
from tests.reference import RunningEtcd, start_reference_etcd
from tests.unit.transport import wire

pytestmark = pytest.mark.slow

VALUES: Final = 64
VALUE_BYTES: Final = 1_000_000
# Each would have a message or two of a megabyte in memory.
STREAMS: Final = 500
STALLED: Final = 40
# What is queued for a connection, what is made in a turn, and what was read lately.
MEMORY_BYTES_MAX: Final = 128 * 1024 * 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningEtcd]:
    with start_reference_etcd(tmp_path, binary=ours_binary("etcd")) as running:
        with Client([running.endpoint]) as client:
            for number in range(VALUES):
                client.kv.put(b"k%d" % number, bytes(VALUE_BYTES))
        yield running


@pytest.mark.parametrize("start_revision", [2, 0])
def test_streams_that_stall_cost_what_a_connection_may(server: RunningEtcd, start_revision: int) -> None:
    """Those that begin in the past, and those that are told of what happens now."""
    no_window = wire.frame(wire.SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
    block = wire.request_fields(b"/etcdserverpb.Watch/Watch")
    with Client([server.endpoint]) as client, socket.create_connection(address_of(server)) as stalled:
        before = resident_bytes(server.pid)
        stalled.settimeout(30)
        stalled.sendall(wire.PREFACE + no_window)
        for number in range(STREAMS):
            stream_id = 2 * number + 1
            create = pb.WatchCreateRequest(key=b"k", range_end=b"l%d" % number, start_revision=start_revision)
            body = wire.message(pb.WatchRequest(create_request=create).SerializeToString())
            stalled.sendall(wire.headers(stream_id, block) + wire.data(stream_id, body, end=False))
        stalled.sendall(wire.frame(wire.PING, 0, 0, b"ping-pon"))
        got = b""
        while b"ping-pon" not in got:
            got += stalled.recv(65536)
        revision = client.kv.get(b"k0").header.revision
        with client.watch(pb.WatchCreateRequest(key=b"k0", start_revision=revision + 1)) as honest:
            for _ in range(10):
                client.kv.put(b"k0", bytes(VALUE_BYTES))
            told = 0
            while told < 10:
                response = honest.read(30)
                assert response is not None, "an honest client is told"
                told += len(response.events)
        grown = resident_bytes(server.pid) - before

        assert grown < MEMORY_BYTES_MAX, f"{grown / 1e6:.0f} MB for {STREAMS} streams"


def test_streams_that_stall_do_not_starve_one_that_is_read(server: RunningEtcd) -> None:
    """All on one connection: what waits for the others is above what may wait there."""
    block = wire.request_fields(b"/etcdserverpb.Watch/Watch")
    healthy_id = 2 * STALLED + 1
    with Client([server.endpoint]) as client, socket.create_connection(address_of(server)) as sock:
        sock.settimeout(30)
        sock.sendall(wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0))
        sock.sendall(wire.frame(wire.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30)))  # the connection's, no stream's
        for stream_id in range(1, healthy_id + 2, 2):
            create = pb.WatchCreateRequest(key=b"healthy" if stream_id == healthy_id else b"k0")
            body = wire.message(pb.WatchRequest(create_request=create).SerializeToString())
            sock.sendall(wire.headers(stream_id, block) + wire.data(stream_id, body, end=False))
        read_until(sock, lambda got: b"ping-pon" in got, wire.frame(wire.PING, 0, 0, b"ping-pon"))
        client.kv.put(b"k0", bytes(VALUE_BYTES))
        for number in range(5):
            client.kv.put(b"healthy", b"here is %d" % number)
        read_until(sock, lambda got: all(b"here is %d" % number in got for number in range(5)))


def read_until(sock: socket.socket, condition: Callable[[bytes], bool], send: bytes = b"") -> None:
    sock.sendall(send)
    got = b""
    while not condition(got):
        piece = sock.recv(1 << 20)
        assert piece, "it was hung up"
        got = got[-4096:] + piece if len(got) > 1 << 20 else got + piece
