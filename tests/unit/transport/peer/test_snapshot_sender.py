"""Sending a snapshot: memory does not grow with it; test_network.py has its other ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

from etcdpy.pb.raft_values import Message, Snapshot
from etcdpy.raft.constants import MSG_SNAP
from etcdpy.transport.peer.snapshot_sender import PIECE_BYTES
from tests.unit.transport.peer.members import Member, run, until

SIZE = 64 << 20


def test_no_more_is_read_than_the_peer_takes(tmp_path: Path) -> None:
    """The peer stops reading after the head: what was sent by then is what waits in sockets, and a piece or two."""

    async def body() -> None:
        may_go_on = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"POST /raft/snapshot HTTP/1.1\r\n")
            assert b"Content-Type: application/octet-stream\r\n" in head
            await may_go_on.wait()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        database = tmp_path / "db"
        with database.open("wb") as file:
            file.truncate(SIZE)
        one = await Member(tmp_path / "1", 1).start()
        one.network.add_remote(2, [f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"])
        message = Message(MSG_SNAP, 2, 1, 3, snapshot=Snapshot(b"", 4, 3))
        one.network.send_snapshot(message, str(database), SIZE)
        counters = one.network.metrics()
        await until(lambda: counters.sent_bytes[2] > PIECE_BYTES)
        for _ in range(200):
            await asyncio.sleep(0.001)
        assert counters.sent_bytes[2] < SIZE // 2
        assert counters.snapshot_send_inflights[2] == 1
        may_go_on.set()
        await until(lambda: one.recorder.snapshots_reported == [(2, False)])
        await one.stop()
        server.close()

    run(body())
