"""RangeStream of a live member: both clients, many readers who stall, and who asks a real 3.5.1 for it."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from etcdpy.base.errors import UNIMPLEMENTED, Compacted, EtcdError
from etcdpy.client import AsyncClient, Client
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.transport.grpc.blocking import BlockingStream
from tests.ours import ours_binary
from tests.reference import RunningEtcd, clean_environment, start_reference_etcd
from tests.unit.transport import wire

pytestmark = pytest.mark.slow

PATH: Final = b"/etcdserverpb.KV/RangeStream"
VALUES: Final = 256
VALUE_BYTES: Final = 256 * 1024
READERS: Final = 32
# What so many stalled readers may cost: a message each, and what HTTP/2 and the sockets hold of it. Whole answers would
# be 2 GiB.
MEMORY_BYTES_MAX: Final = READERS * 3 * 1024 * 1024
# Half-read streams of one connection, each of which would have a message of 256 KiB in memory; and what the 32 MiB that
# may be queued for a connection cost, all told.
STREAMS: Final = 1000
CONNECTION_BYTES_MAX: Final = 96 * 1024 * 1024
REQUEST: Final = pb.RangeRequest(key=b"k", range_end=b"l").SerializeToString()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEtcd]:
    with start_reference_etcd(tmp_path_factory.mktemp("range"), binary=ours_binary("etcd")) as running:
        with Client([running.endpoint]) as client:
            for number in range(VALUES):
                client.kv.put(b"k%04d" % number, b"%04d" % number + b"x" * VALUE_BYTES)
        yield running


def resident_bytes(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def address_of(server: RunningEtcd) -> tuple[str, int]:
    host, port = server.endpoint.rsplit(":", 1)
    return host, int(port)


def read_to_the_end(stream: BlockingStream) -> pb.RangeResponse:
    messages = []
    while (message := stream.read(30)) is not None:
        messages.append(message)
    return pb.RangeStreamResponse.FromString(b"".join(messages)).range_response


def test_both_clients_read_all_of_it(server: RunningEtcd) -> None:
    async def read_async() -> list[pb.RangeResponse]:
        async with AsyncClient([server.endpoint]) as client:
            return [part async for part in client.kv.get_stream(b"k", prefix=True, serializable=True)]

    with Client([server.endpoint]) as client:
        parts = list(client.kv.get_stream(b"k", prefix=True))
    again = asyncio.run(read_async())

    assert len(parts) > 100
    for got in (parts, again):
        merged = pb.RangeResponse()
        for part in got:
            merged.MergeFrom(part)
        assert [kv.key for kv in merged.kvs] == [b"k%04d" % number for number in range(VALUES)]
        assert all(kv.value[:4] == kv.key[1:] and len(kv.value) == VALUE_BYTES + 4 for kv in merged.kvs)
        assert (merged.count, merged.more, merged.header.revision) == (VALUES, False, VALUES + 1)


def test_readers_who_stall_cost_a_message_each(server: RunningEtcd) -> None:
    with ExitStack() as stack:
        client = stack.enter_context(Client([server.endpoint]))
        client.maintenance.status()
        before = resident_bytes(server.pid)
        streams = []
        for _ in range(READERS):
            own = stack.enter_context(Client([server.endpoint]))
            stream = stack.enter_context(own.open_stream(PATH))
            stream.write(REQUEST)
            stream.finish_writing()
            assert stream.read(30) is not None  # it has begun, and that was all that is taken
            streams.append(stream)
        client.kv.put(b"others", b"are served")
        grown = resident_bytes(server.pid) - before

        assert grown < MEMORY_BYTES_MAX, f"{grown / 1e6:.0f} MB for {READERS} readers"
        # The one who goes on gets the rest of it.
        rest = read_to_the_end(streams[0])
        assert rest.count == VALUES and 0 < len(rest.kvs) < VALUES


def test_streams_of_one_connection_that_stall_cost_what_a_connection_may(server: RunningEtcd) -> None:
    no_window = wire.frame(wire.SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
    block, body = wire.request_fields(PATH), wire.message(REQUEST)
    with Client([server.endpoint]) as client, socket.create_connection(address_of(server)) as stalled:
        client.maintenance.status()
        before = resident_bytes(server.pid)
        stalled.sendall(wire.PREFACE + no_window)
        for stream_id in range(1, 2 * STREAMS, 2):
            stalled.sendall(wire.headers(stream_id, block) + wire.data(stream_id, body))
        stalled.sendall(wire.frame(wire.PING, 0, 0, b"ping-pong"[:8]))
        stalled.settimeout(30)
        got = b""
        while b"ping-pon" not in got:
            got += stalled.recv(65536)
        for _ in range(200):  # turns of the loop in which they could go on
            client.maintenance.status()
        grown = resident_bytes(server.pid) - before

        assert grown < CONNECTION_BYTES_MAX, f"{grown / 1e6:.0f} MB for {STREAMS} streams"
        assert sum(len(part.kvs) for part in client.kv.get_stream(b"k", limit=8, prefix=True)) == 8  # others are served


def test_compaction_reaches_a_reader_who_is_too_slow(server: RunningEtcd) -> None:
    with Client([server.endpoint]) as slow, Client([server.endpoint]) as client:
        parts = slow.kv.get_stream(b"k", prefix=True)
        next(parts)
        client.kv.compact(client.kv.put(b"later", b"").header.revision, physical=True)
        with pytest.raises(Compacted):
            list(parts)


def test_a_real_3_5_has_no_such_method(tmp_path: Path) -> None:
    with start_reference_etcd(tmp_path) as real, Client([real.endpoint]) as client:
        with pytest.raises(EtcdError) as refused:
            list(client.kv.get_stream(b"k"))
        assert refused.value.code == UNIMPLEMENTED


def test_the_gateway_has_no_path_for_it(server: RunningEtcd) -> None:
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", '{"key":"aw=="}']
    done = subprocess.run(
        [*command, f"{server.client_url}/v3/kv/rangestream"],
        env=clean_environment(),
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == b"404"
