"""Writing a stream: what a peer does not take is bounded, reported, and ends in a closed link; silence is filled."""

from __future__ import annotations

import asyncio
from pathlib import Path

from etcdpy.pb.raft_values import Entry, Message
from etcdpy.raft.constants import MSG_APP, MSG_HEARTBEAT
from etcdpy.transport.peer.stream_kind import MSGAPP_STREAM
from tests.unit.transport.peer.members import Both, Member, request, run, until

PIECE = bytes(1 << 20)


async def dial_stream(one: Member, kind: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
    writer.write(request("GET", f"/raft/stream/{kind}/2", X_Raft_To="1"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n") and b"Transfer-Encoding: chunked" in head
    return reader, writer


def test_a_peer_that_takes_nothing_holds_a_bounded_amount_and_is_given_up(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        one.network.add_peer(2, ["http://127.0.0.1:1"])
        reader, writer = await dial_stream(one, "msgapp")
        other, other_writer = await dial_stream(one, "message")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        connection = next(
            c
            for c in one.server.connections
            if c.transport.get_extra_info("peername") == writer.get_extra_info("sockname")
        )
        for index in range(200):
            one.network.send([Message(MSG_APP, 2, 1, 2, 2, index, [Entry(2, index + 1, 0, PIECE)])])
        assert connection.transport.get_write_buffer_size() <= MSGAPP_STREAM.waiting_bytes_max + 2 * len(PIECE)
        assert one.recorder.unreachable and one.network.metrics().sent_failures[2] >= 100
        # Heartbeats have a stream of their own.
        one.network.send([Message(MSG_HEARTBEAT, 2, 1, 2)])
        await other.readuntil(b"\r\n\x00\x00\x00\x00\x00\x00\x00")
        await until(lambda: connection not in one.server.connections)
        writer.close()
        other_writer.close()
        await one.stop()
        assert "dropped internal Raft message since sending buffer is full" in one.logged()
        assert "lost TCP streaming connection with remote peer" in one.logged()

    run(body())


def test_a_stream_with_nothing_to_say_says_so(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        one.network.add_peer(2, ["http://127.0.0.1:1"])
        reader, writer = await dial_stream(one, "msgapp")
        async with asyncio.timeout(20):
            assert await reader.readexactly(12) == b"1\r\n\x00\r\n" * 2
        writer.close()
        await one.stop()

    run(body())


def test_the_newest_connection_is_the_one(tmp_path: Path) -> None:
    async def body() -> None:
        async with Both(tmp_path) as both:
            reader, writer = await dial_stream(both.one, "message")
            both.one.network.send([Message(MSG_HEARTBEAT, 2, 1, 77)])
            # The real reader dials again and takes the stream back.
            await reader.read()
            await until(both.are_attached)
            writer.close()
        assert "closed TCP streaming connection with remote peer" in both.one.logged()

    run(body())
