"""Posted messages and snapshots: what is taken, what is refused and why, and nothing held after the end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest

from etcdpy.pb.raft_values import Message, Snapshot
from etcdpy.raft.constants import MSG_HEARTBEAT, MSG_SNAP
from etcdpy.transport.peer.requests import ENVELOPE_BYTES_MAX, POSTED_BYTES_MAX, SNAPSHOTS_AT_ONCE_MAX, parse_id
from tests.unit.transport.peer.members import Member, ask, request, run, until


def envelope(message: Message) -> bytes:
    encoded = message.encode()
    return len(encoded).to_bytes(8, "big") + encoded


SNAPSHOT: Final = Message(MSG_SNAP, 1, 2, 5, snapshot=Snapshot(b"{}", 9, 5))


@pytest.mark.parametrize(
    ("path", "sent", "status", "text"),
    [
        ("/raft", b"\xff", 400, b"error unmarshalling raft message\n"),
        (
            "/raft",
            Message(MSG_HEARTBEAT, 3, 2, 5).encode(),
            403,
            b'{"message":"cannot process message to mismatch member"}',
        ),
        (
            "/raft",
            Message(MSG_HEARTBEAT, 1, 9, 5).encode(),
            403,
            b'{"message":"cannot process message from removed member"}',
        ),
        ("/raft/snapshot", b"abc", 400, b"failed to decode raft message (unexpected EOF)\n"),
        ("/raft/snapshot", envelope(SNAPSHOT)[:-1], 400, b"failed to decode raft message (unexpected EOF)\n"),
        ("/raft/snapshot", envelope(Message(MSG_HEARTBEAT, 1, 2)), 400, b"wrong raft message type\n"),
        ("/raft/snapshot", (1).to_bytes(8, "big") + b"\xff", 400, b"failed to decode raft message (no raft message"),
        (
            "/raft/snapshot",
            (ENVELOPE_BYTES_MAX + 1).to_bytes(8, "big"),
            400,
            b"failed to decode raft message (rafthttp: error limit exceeded)\n",
        ),
        (
            "/raft/snapshot",
            envelope(Message(MSG_SNAP, 3, 2, 5, snapshot=Snapshot(b"", 9, 5))),
            403,
            b'{"message":"cannot process message to mismatch member"}',
        ),
    ],
)
def test_refusals(tmp_path: Path, path: str, sent: bytes, status: int, text: bytes) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        one.recorder.removed.add(9)
        got = await ask(one.port, request("POST", path, sent))
        assert got[0] == status and got[2].startswith(text)
        assert not one.recorder.received and not list((tmp_path / "1").iterdir())
        assert one.server.snapshot_count == one.server.posted_bytes == 0
        await one.stop()

    run(body())


def test_a_refusal_arrives_although_the_database_is_still_coming(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        one.recorder.removed.add(2)
        got = await ask(one.port, request("POST", "/raft/snapshot", envelope(SNAPSHOT) + bytes(30_000_000)))
        assert got[0] == 403
        await one.stop()

    run(body())


def test_a_sender_that_vanishes_leaves_nothing(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        writers = []
        whole = request("POST", "/raft/snapshot", envelope(SNAPSHOT) + bytes(3_000_000))
        for _ in range(SNAPSHOTS_AT_ONCE_MAX):
            _, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(whole[:-1])
            writers.append(writer)
        await until(lambda: len(list((tmp_path / "1").iterdir())) == SNAPSHOTS_AT_ONCE_MAX)
        assert (await ask(one.port, whole))[0] == 503
        post = request("POST", "/raft", bytes(1_000))
        _, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(post[:-1])
        writers.append(writer)
        await until(lambda: one.server.posted_bytes == 999)
        for writer in writers:
            writer.close()
        await until(lambda: not list((tmp_path / "1").iterdir()))
        await until(lambda: one.server.snapshot_count == one.server.posted_bytes == 0)
        await one.stop()

    run(body())


def test_all_that_is_posted_together_is_bounded(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        one.server.posted_bytes = POSTED_BYTES_MAX
        message = Message(MSG_HEARTBEAT, 1, 2, 5).encode()
        assert (await ask(one.port, request("POST", "/raft", message)))[0] == 503
        one.server.posted_bytes -= POSTED_BYTES_MAX
        assert (await ask(one.port, request("POST", "/raft", message)))[0] == 204
        assert one.server.posted_bytes == 0
        await one.stop()

    run(body())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", 10),
        ("FFffFFffFFffFFff", (1 << 64) - 1),
        ("", None),
        ("0x1", None),
        ("1_0", None),
        ("+1", None),
        ("1" * 17, None),
    ],
)
def test_ids_are_plain_hex(text: str, value: int | None) -> None:
    assert parse_id(text) == value
